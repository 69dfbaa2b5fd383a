# For whoever runs `lab token rotate` and `lab token revoke`; no program of the deployment has it. With KV v1 the first two
# paths have no "data/" and may delete, the others are not needed.
# Another deployment: put its DEPLOYMENT_HASH in place of "default".
path "secret/data/agent/default/status_panel_token" {
  capabilities = ["create", "read", "update"]
}
path "secret/data/agent/default/compose_agent_token" {
  capabilities = ["create", "read", "update"]
}
path "secret/metadata/agent/default/status_panel_token" {
  capabilities = ["delete"]
}
path "secret/metadata/agent/default/compose_agent_token" {
  capabilities = ["delete"]
}
