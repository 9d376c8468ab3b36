"""What moto imports and nothing here has use for stays away from a local cloud's process."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, os, sys
os.environ["MOTO_PORT"] = "1"
import botocore.loaders
loaded = []
original = botocore.loaders.Loader.load_service_model
def load(self, service, *more, **named):
    loaded.append(service)
    return original(self, service, *more, **named)
botocore.loaders.Loader.load_service_model = load
from localcloud import hooks
from localcloud.core import unused
unused.leave_out()
hooks.service_hooks()
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.ec2.models.instance_types import INSTANCE_TYPES
import moto.apigateway.models
there = sorted({name.partition(".")[0] for name in sys.modules})
regions = [region.name for region in RegionsAndZonesBackend.regions]
from boto3 import Session
import openapi_spec_validator
print(json.dumps({
    "packages": there, "models": loaded, "instances": len(INSTANCE_TYPES), "regions": regions,
    "ec2's": Session().get_available_regions("ec2"), "validator": openapi_spec_validator.__file__,
}))
"""


def test_it_is_not_there_and_the_rest_is_as_it_would_be() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    told = json.loads(ran.stdout)
    assert told["instances"] == 0
    assert "openapi_spec_validator" not in told["packages"]
    assert "ec2" not in told["models"][:-1]  # the last is asked for here
    assert set(told["regions"]) >= set(told["ec2's"])
    assert told["validator"].endswith("openapi_spec_validator/__init__.py")
