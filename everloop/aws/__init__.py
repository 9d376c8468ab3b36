"""The few calls of AWS that the request path makes, without the SDK: importing that doubles a cold start."""
