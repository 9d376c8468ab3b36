"""What the commands do: plain functions over an :class:`~everloop.cli.account.Account`. The replay calls them too."""
