output "page" {
  description = "Address of the page."
  value       = "http://${local.addresses["orchestrator"]}:${local.ports["orchestrator"]}"
}

output "token" {
  description = "Token to sign in with: terraform output -raw token."
  value       = random_id.token.hex
  sensitive   = true
}
