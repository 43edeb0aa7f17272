variable "name" {
  description = "Beginning of the names of all resources."
  type        = string
  default     = "reelscribe"
}

variable "repository" {
  description = "URL of the git repository that the hosts install from."
  type        = string
}

variable "revision" {
  description = "Branch, tag or commit of it."
  type        = string
  default     = "main"
}

variable "subnet_id" {
  description = "Subnet of the hosts, from which packages and models can be downloaded."
  type        = string
}

variable "first_address" {
  description = "Number within the subnet of the first of three consecutive free addresses."
  type        = number
  default     = 10
}

variable "people_cidr_blocks" {
  description = "Networks from which people open the page (port 8890)."
  type        = list(string)
  default     = []
}

variable "ami" {
  description = "Image of Debian 12 or Ubuntu 24.04 or newer for the hosts; for a GPU, one with NVIDIA's driver."
  type        = string
}

variable "key_name" {
  description = "Key pair for SSH; null: none."
  type        = string
  default     = null
}

variable "instance_types" {
  description = "Type of each host."
  type        = map(string)
  default = {
    extractor    = "c7i.xlarge"
    transcriber  = "g5.xlarge"
    orchestrator = "t3.medium"
  }
}

variable "disk_gib" {
  description = "Size of each system disk in GiB; that of the orchestrator holds the database."
  type        = map(number)
  default = {
    extractor    = 20
    transcriber  = 60
    orchestrator = 60
  }
}

variable "minio_volume_id" {
  description = "EBS volume whose file system has the label minio, and in its folder minio the data of MinIO, which you run on the extractor's host."
  type        = string
}

variable "bucket" {
  description = "Bucket with the recordings."
  type        = string
  default     = "videos"
}

variable "model" {
  description = "Speech model of the transcriber."
  type        = string
  default     = "large-v3-turbo"
}
