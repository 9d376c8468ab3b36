"""Rollout: how a passed candidate comes to serve, step by step, and goes back when it fails."""
