"""Reads the text of a template: JSON, or YAML with CloudFormation's short forms (``!Sub``, ``!GetAtt a.b``)."""

from __future__ import annotations

import json
from typing import Any

import yaml

from localcloud.cloudformation.exceptions import TemplateError

_LONG_FORMS = {"Ref": "Ref", "Condition": "Condition"}
_DATES = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """YAML in which dates are texts (``2012-10-17`` is a policy's version) and tags are functions."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _DATES]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _function(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = _LONG_FORMS.get(tag, f"Fn::{tag}")
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if name == "Fn::GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    raise TemplateError(f"!{tag} is followed by something that is not a value")


_Loader.add_multi_constructor("!", _function)


def parse_template(text: str) -> dict[str, Any]:
    """The template that a text holds.

    Raises
    ------
    TemplateError
        When it is neither JSON nor YAML, or no mapping.
    """
    try:
        # JSON is YAML, and a hundred times faster to read.
        document = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _Loader)
    except (ValueError, yaml.YAMLError) as error:
        raise TemplateError(f"Template format error: it is neither JSON nor YAML: {error}") from error
    if not isinstance(document, dict):
        raise TemplateError("Template format error: unsupported structure.")
    return document
