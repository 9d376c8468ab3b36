"""What can go wrong while the app is synthesized. ``app.py`` prints these without a traceback."""


class SynthesisError(Exception):
    """The app can't be synthesized; the message names the place, what is wrong with it and the remedy."""


class NodeMissingError(SynthesisError):
    """No Node.js was found, which the CDK needs."""


class PackagingError(SynthesisError):
    """An asset can't be built from the sources."""


class LayerUnavailableError(PackagingError):
    """The packages of a layer can't be had: neither from the cache nor from a package index."""


class SizeLimitError(PackagingError):
    """A function with its layers is larger than Lambda admits."""
