# What the agent's program may read: its own token, nothing else. The compose-agent, which checks the requests of both
# planes, gets this policy and status-panel's. With KV v1 the path has no "data/".
# Another deployment: put its DEPLOYMENT_HASH in place of "default".
path "secret/data/agent/default/compose_agent_token" {
  capabilities = ["read"]
}
