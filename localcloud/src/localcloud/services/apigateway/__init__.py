"""All of API Gateway in the local cloud: HTTP APIs, REST APIs, and what both have in common."""
