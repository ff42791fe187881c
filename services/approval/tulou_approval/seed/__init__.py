"""The catalogue a new city starts with: the departments of Zhangzhou and the items they handle."""
