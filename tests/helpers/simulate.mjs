// Asks an offline simulator of IAM: reads [{policy, action, resource, context}] and writes the result of each.
// Arguments: the simulator's module.
import { readFileSync } from 'node:fs'

const { runSimulation } = await import(process.argv[2])
const account = '123456789012'
const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }

const results = []
for (const { policy, action, resource, context } of JSON.parse(readFileSync(0, 'utf-8'))) {
  const response = await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${account}:role/role`,
        action,
        resource: { resource, accountId: account },
        contextVariables: context,
      },
      identityPolicies: [{ name: 'role', policy }],
      serviceControlPolicies: [{ orgIdentifier: 'r', policies: [{ name: 'all', policy: everything }] }],
      resourceControlPolicies: [],
    },
    {},
  )
  results.push(response.resultType === 'error' ? JSON.stringify(response.errors) : response.overallResult)
}
console.log(JSON.stringify(results))
