"""Watches what production sees and answers: profiles that add up, drift, and quality on arrived labels."""
