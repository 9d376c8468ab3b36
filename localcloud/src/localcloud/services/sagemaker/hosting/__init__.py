"""Endpoints: containers' processes behind weighted variants."""
