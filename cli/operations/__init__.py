"""What the commands do: plain functions over an :class:`cli.account.Account`. The replay calls the same ones."""
