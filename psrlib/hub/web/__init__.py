"""What is between the socket and a handler: routes, requests, callers, documents."""
