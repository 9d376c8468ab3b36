"""AWS Lambda, executed: functions, versions, aliases and layers, and the worker processes that run them."""
