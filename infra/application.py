"""The app: one platform, and a stack for each declared model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, DefaultStackSynthesizer

from everloop.infra.exceptions import SynthesisError
from everloop.infra.model_stack import ModelStack
from everloop.infra.platform_stack import PlatformStack
from everloop.infra.regions import deployable_regions, regions_of, why_not, why_not_of
from everloop.infra.settings import AUTHORIZERS, Settings, read_models, why_not_so_many
from everloop.model_file.schema import ModelDeclaration
from everloop.names import PLATFORM_STACK, ModelNames

REGIONS, ENDPOINT = "everloop:regions", "everloop:endpoint"
"""Entries of a template's metadata: where it can be deployed, and what the model's endpoint runs."""

FIXED_CONTEXT: Mapping[str, Any] = {
    "aws:cdk:enable-path-metadata": True,
    "aws:cdk:enable-asset-metadata": False,
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/aws-lambda:useCdkManagedLogGroup": True,
    "@aws-cdk/core:checkSecretUsage": True,
    "@aws-cdk/core:defaultCrossStackReferences": "strong",
    "@aws-cdk/core:stackRelativeExports": True,
}
"""What decides about the templates' text stands here rather than in cdk.json, which only the CDK's command line
reads: the templates are the same with and without it."""


def new_app(
    *, output: Path | None = None, context: Mapping[str, Any] | None = None, validated: bool | None = None
) -> App:
    """An empty app; its assembly goes to ``output``, by default to where ``CDK_OUTDIR`` says.

    Without ``validated`` the CDK's own validation of the templates is left out; unless given, it is the CDK's to say.
    """
    return App(
        analytics_reporting=False,
        builtin_cloud_formation_validation=validated,
        outdir=str(output) if output else None,
        context=dict(context or {}),
        post_cli_context=dict(FIXED_CONTEXT),
    )


def settings_of(app: App, project: Path, *, region: str | None = None) -> Settings:
    """The settings that the context of a project's app asks for.

    They are ``everloop:models_dir``, ``everloop:architecture``, ``everloop:audit_lock`` and ``everloop:authorizers``.
    The region is what the CDK's command line found in the environment.
    """
    authorizers = app.node.try_get_context("everloop:authorizers")
    return Settings.of(
        project,
        models=app.node.try_get_context("everloop:models_dir") or "models",
        architecture=app.node.try_get_context("everloop:architecture") or "x86_64",
        region=region,
        audit_lock=app.node.try_get_context("everloop:audit_lock") or "governance",
        authorizers=AUTHORIZERS if authorizers is None else authorizers,
    )


def add_stacks(app: App, settings: Settings) -> None:
    """Add the platform's stack and one for each declared model.

    They are environment-agnostic: nothing is looked up, and the same templates deploy to any account and region.

    Raises
    ------
    SynthesisError
        For mistakes in declarations, for assets that can't be built, for a region that lacks what is needed, and for
        more models that take tokens than the API can have authorizers.
    """
    refused = why_not(settings.region) if settings.region else None
    if refused:
        raise SynthesisError(f"{refused}; set AWS_REGION to one of {', '.join(deployable_regions())}")
    models = read_models(settings.models)
    elsewhere = [reason for m in models if (reason := why_not_of(m.declaration, settings.region))]
    if elsewhere:
        raise SynthesisError("\n".join(elsewhere))
    too_many = why_not_so_many([model.declaration for model in models], settings.authorizers)
    if too_many:
        raise SynthesisError(too_many)
    platform = PlatformStack(
        app,
        PLATFORM_STACK,
        audit_lock=settings.audit_lock,
        description="Everloop: resources shared by all models",
        synthesizer=_synthesizer(),
        tags={"everloop:part": "platform"},
    )
    platform.template_options.metadata = {REGIONS: list(deployable_regions())}
    for model in models:
        names = ModelNames(model.declaration.model)
        stack = ModelStack(
            app,
            names.stack,
            model=model,
            settings=settings,
            platform=platform.platform,
            description=f"Everloop: the model {names.model}",
            synthesizer=_synthesizer(),
            tags={"everloop:model": names.model},
        )
        # The bus, the database and the workgroup are found by name, so the order must be said.
        stack.add_stack_dependency(platform, "found by name")
        stack.template_options.metadata = _metadata(model.declaration)


def _metadata(declaration: ModelDeclaration) -> dict[str, Any]:
    """What is asked of an account before a deployment and stands in no resource: an endpoint is made by rollouts."""
    endpoint = declaration.serving.endpoint
    keys = {"image", "serverless"} if endpoint and endpoint.serverless else {"image", "instance_type", "instances"}
    runs: dict[str, Any] = endpoint.model_dump(include=keys) if endpoint else {}
    if endpoint is not None and endpoint.autoscaling is not None:
        runs["most_instances"] = endpoint.most_instances
    return {REGIONS: list(regions_of(declaration)), **({ENDPOINT: runs} if runs else {})}


def _synthesizer() -> DefaultStackSynthesizer:
    # The command line checks the bootstrap's version by the assembly's manifest; the rule would ask again.
    return DefaultStackSynthesizer(generate_bootstrap_version_rule=False)
