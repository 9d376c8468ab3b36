"""Take a model out of its account, or all of Everloop: what goes, what stays, and what that goes on costing."""
