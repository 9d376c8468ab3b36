"""What other services may use: ends of jobs, for who waits for one, and the images that endpoints run."""

from __future__ import annotations

from localcloud.services.sagemaker.hosting.images import Image, image_for, images_of
from localcloud.services.sagemaker.jobs.registry import JOBS

__all__ = ["JOBS", "Image", "image_for", "images_of"]
