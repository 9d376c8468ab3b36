"""All of apigatewayv2 in the local cloud."""
