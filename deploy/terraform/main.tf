# Three hosts of Amazon EC2 that install themselves by deploy/cloud-init: see docs/three-machines.md.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
  }
}

locals {
  ports = { extractor = 8888, transcriber = 8889, orchestrator = 8890 }
  # Fixed, so that each host knows the others before they exist.
  addresses = {
    extractor    = cidrhost(data.aws_subnet.hosts.cidr_block, var.first_address)
    transcriber  = cidrhost(data.aws_subnet.hosts.cidr_block, var.first_address + 1)
    orchestrator = cidrhost(data.aws_subnet.hosts.cidr_block, var.first_address + 2)
  }
  user_data_values = {
    repository       = var.repository
    revision         = var.revision
    bucket           = var.bucket
    model            = var.model
    token            = random_id.token.hex
    extractor_host   = local.addresses["extractor"]
    transcriber_host = local.addresses["transcriber"]
  }
}

data "aws_subnet" "hosts" {
  id = var.subnet_id
}

# It is in the state of Terraform and in the user data: both are as secret as the token.
resource "random_id" "token" {
  byte_length = 32
}

resource "aws_security_group" "hosts" {
  name        = "${var.name}-hosts"
  description = "Reelscribe: its services among each other, and the page from where people are"
  vpc_id      = data.aws_subnet.hosts.vpc_id

  dynamic "ingress" {
    for_each = local.ports
    content {
      description = ingress.key
      from_port   = ingress.value
      to_port     = ingress.value
      protocol    = "tcp"
      self        = true
      cidr_blocks = ingress.key == "orchestrator" ? var.people_cidr_blocks : []
    }
  }

  egress {
    description = "Packages and models"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }

  tags = { Name = "${var.name}-hosts" }
}

resource "aws_instance" "host" {
  for_each = local.ports

  ami                    = var.ami
  instance_type          = var.instance_types[each.key]
  subnet_id              = data.aws_subnet.hosts.id
  private_ip             = local.addresses[each.key]
  vpc_security_group_ids = [aws_security_group.hosts.id]
  key_name               = var.key_name
  user_data              = templatefile("${path.module}/../cloud-init/${each.key}.yaml", local.user_data_values)

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_size = var.disk_gib[each.key]
    encrypted   = true
  }

  # New user data would do nothing on a host that has started: upgrade it as the page says.
  lifecycle {
    ignore_changes = [user_data, ami]
  }

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_volume_attachment" "minio" {
  device_name = "/dev/sdf"
  instance_id = aws_instance.host["extractor"].id
  volume_id   = var.minio_volume_id
}
