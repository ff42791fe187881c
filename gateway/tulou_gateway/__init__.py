"""The gateway: renders Envoy's configuration, builds the OpenAPI document, serves the docs and trace pages."""
