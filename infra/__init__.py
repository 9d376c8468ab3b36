"""The AWS resources: stacks, and one construct per capability. Knows the model file, and no function's insides."""
