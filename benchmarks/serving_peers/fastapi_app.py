"""Bare FastAPI with onnxruntime: no check, no capture. ``uvicorn fastapi_app:app``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from feeding import Model

app = FastAPI()
model = Model(Path(os.environ["PEER_FOLDER"]))


@app.post("/predict")
async def predict(request: Request) -> dict[str, Any]:
    """Score the rows."""
    return {"predictions": model.scores((await request.json())["instances"])}
