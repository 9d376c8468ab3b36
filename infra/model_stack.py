"""Everything one model has in the account."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from everloop.infra.alarms import Alarms
from everloop.infra.capture import Capture
from everloop.infra.drills import Drills
from everloop.infra.endpoint_role import EndpointRole
from everloop.infra.functions import ModelFunctions
from everloop.infra.manifests import Manifests
from everloop.infra.monitor import DeadLetters, Monitor
from everloop.infra.pipeline import Pipeline
from everloop.infra.platform_reference import Platform
from everloop.infra.probes import Probes
from everloop.infra.reconciliation import Reconciliation
from everloop.infra.serving import Serving
from everloop.infra.settings import DeclaredModel, Settings
from everloop.names import ALIAS, PROBE_FUNCTION, ModelNames


class ModelStack(Stack):
    """Serving, capture, pipeline and monitoring of one model. There is no way to have one without the others."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model: DeclaredModel,
        settings: Settings,
        platform: Platform,
        **properties: Any,
    ) -> None:
        super().__init__(scope, construct_id, **properties)
        declaration = model.declaration
        names = ModelNames(declaration.model)
        dead_letters = DeadLetters(self, "DeadLetters").queue
        Capture(self, "Capture", declaration=declaration, platform=platform)
        endpoint, role_arn = declaration.serving.endpoint, ""
        if endpoint is not None:
            role = EndpointRole(self, "Endpoint", names=names, image=endpoint.image, platform=platform).role
            role_arn = role.role_arn
        functions = ModelFunctions(
            self,
            "Functions",
            model=model,
            settings=settings,
            platform=platform,
            dead_letters=dead_letters,
            endpoint_role_arn=role_arn,
        ).by_name
        serving = Serving(
            self,
            "Serving",
            declaration=declaration,
            platform=platform,
            predict=functions["predict"],
            labels=functions["labels"],
        )
        if serving.own_endpoint is not None:
            CfnOutput(self, "ApiEndpoint", value=serving.own_endpoint, description="The URL for its predictions")
        pipeline = Pipeline(self, "Pipeline", model=model, settings=settings, platform=platform, functions=functions)
        machine, probe_machine = pipeline.state_machine, None
        if declaration.retraining.investment is not None:
            probe_machine = Probes(
                self,
                "Probes",
                declaration=declaration,
                investment=declaration.retraining.investment,
                platform=platform,
                pipeline=pipeline,
                function=functions[PROBE_FUNCTION],
            ).state_machine
        Monitor(
            self,
            "Monitor",
            declaration=declaration,
            platform=platform,
            monitor=functions["monitor"],
            starter=functions["starter"],
            rollout=functions["rollout"],
            dead_letters=dead_letters,
        )
        Manifests(self, "Manifests", names=names, rollout=functions["rollout"], dead_letters=dead_letters)
        Reconciliation(
            self,
            "Reconciliation",
            declaration=declaration,
            platform=platform,
            rollout=functions["rollout"],
            dead_letters=dead_letters,
        )
        if declaration.rollout.drill is not None:
            Drills(
                self,
                "Drills",
                declaration=declaration,
                drill=declaration.rollout.drill,
                platform=platform,
                rollout=functions["rollout"],
                dead_letters=dead_letters,
            )
        Alarms(
            self,
            "Alarms",
            declaration=declaration,
            platform=platform,
            state_machine_arn=machine.state_machine_arn,
            probe_machine_arn=None if probe_machine is None else probe_machine.state_machine_arn,
            dead_letters_name=dead_letters.queue_name,
        )
        ssm.StringParameter(
            self,
            "Parameter",
            parameter_name=names.parameter,
            description=f"Read by Everloop's command line: {names.model}",
            string_value=self.to_json_string(
                {
                    "model": names.model,
                    "state_machine_arn": machine.state_machine_arn,
                    "predict_function": names.function("predict"),
                    "alias": ALIAS,
                    "predictions_url": serving.predictions_url,
                    "labels_url": serving.labels_url,
                    "predictions_stream": names.stream("predictions"),
                    "labels_stream": names.stream("labels"),
                    "authorization": declaration.serving.authorization,
                    "declaration_sha256": model.sha256,
                    **({"endpoint_image": endpoint.image} if endpoint is not None else {}),
                    **({"api": declaration.serving.api} if declaration.serving.api != "http" else {}),
                }
            ),
        )
