"""The replay: a model's year, driven through the same doors a person has, against a clock that is moved."""
