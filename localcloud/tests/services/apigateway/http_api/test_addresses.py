"""The address of an HTTP API, as templates put it together."""

from __future__ import annotations

import json

from support.in_process import Cloud

API = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "a", "ProtocolType": "HTTP"}}
BUILT = {"Fn::Sub": "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/x"}
JOINED = {
    "Fn::Join": ["", ["https://", {"Ref": "Api"}, ".execute-api.", {"Ref": "AWS::Region"}, ".amazonaws.com/", "x"]]
}


def outputs(cloud: Cloud, stack: str, template: object) -> dict[str, str]:
    client = cloud.client("cloudformation")
    client.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    cloud.wait_until_quiet()
    found = client.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in found}


def test_an_address_that_a_template_puts_together_answers_here(cloud: Cloud) -> None:
    told = outputs(
        cloud,
        "One",
        {
            "Resources": {"Api": API},
            "Outputs": {
                "Told": {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}},
                "Built": {"Value": BUILT},
                "Joined": {"Value": JOINED},
                "Id": {"Value": {"Ref": "Api"}, "Export": {"Name": "Id"}},
                "Arn": {"Value": {"Fn::Sub": "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*"}},
            },
        },
    )
    assert told["Told"].startswith("http://127.0.0.1:")
    assert told["Built"] == told["Joined"] == f"{told['Told']}/x"
    assert told["Arn"] == f"arn:aws:execute-api:us-east-1:{cloud.context.account_id}:{told['Id']}/*"

    # Another stack that imports the id puts the same address together.
    of_id = {"Fn::Sub": ["https://${Id}.execute-api.us-east-1.amazonaws.com", {"Id": {"Fn::ImportValue": "Id"}}]}
    other = {
        "Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": of_id}}},
        "Outputs": {"Value": {"Value": {"Fn::GetAtt": ["P", "Value"]}}, "Unknown": {"Value": {"Fn::Sub": "https://x"}}},
    }
    assert outputs(cloud, "Two", other) == {"Value": told["Told"], "Unknown": "https://x"}
