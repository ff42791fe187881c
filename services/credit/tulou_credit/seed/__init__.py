"""The catalogue of credit information that a city begins with, as data."""
