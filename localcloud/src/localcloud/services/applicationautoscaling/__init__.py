"""All of Application Auto Scaling in the local cloud: instances of endpoint variants that follow their requests."""
