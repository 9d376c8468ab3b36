"""What a deployment needs of an account, asked before it is deployed: one check a module, all listed in ``checks``."""
