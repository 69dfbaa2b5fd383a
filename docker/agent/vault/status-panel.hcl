# What the panel's program may read: its own token, nothing else. With KV v1 the path has no "data/".
# Another deployment: put its DEPLOYMENT_HASH in place of "default".
path "secret/data/agent/default/status_panel_token" {
  capabilities = ["read"]
}
