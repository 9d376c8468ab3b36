"""All of CloudTrail in the local cloud: who changed what."""
