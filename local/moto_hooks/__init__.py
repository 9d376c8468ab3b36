"""Every change to moto, one module each: ``install(context)`` before the server starts."""
