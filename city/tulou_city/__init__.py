"""One city on one machine: gateway, servers and worker under one supervisor."""
