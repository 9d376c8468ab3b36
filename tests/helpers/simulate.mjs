// Asks an offline simulator of IAM: reads {policies, questions: [[action, resource, context]]} and writes the result of
// each question under each policy. Arguments: the simulator's module.
import { readFileSync } from 'node:fs'

const { runSimulation } = await import(process.argv[2])
const account = '123456789012'
const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }

const { policies, questions } = JSON.parse(readFileSync(0, 'utf-8'))
const results = []
for (const policy of policies) {
  for (const [action, resource, contextVariables] of questions) {
    const response = await runSimulation(
      {
        request: {
          principal: `arn:aws:iam::${account}:role/role`,
          action,
          resource: { resource, accountId: account },
          contextVariables,
        },
        identityPolicies: [{ name: 'role', policy }],
        serviceControlPolicies: [{ orgIdentifier: 'r', policies: [{ name: 'all', policy: everything }] }],
        resourceControlPolicies: [],
      },
      {},
    )
    results.push(response.resultType === 'error' ? JSON.stringify(response.errors) : response.overallResult)
  }
}
console.log(JSON.stringify(results))
