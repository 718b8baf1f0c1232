# Image repositories: a tag never moves, every push is scanned, old builds go and releases stay.

resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136: ECR encrypts with a key of its own (AES-256); kms_key_arn takes another
  for_each = var.repositories

  name                 = "${var.prefix}/${each.key}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.force_delete

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = var.kms_key_arn == null ? "AES256" : "KMS"
    kms_key         = var.kms_key_arn
  }
}

# What a rule of a lower number takes into account, no later one may expire: that is how releases outlive the 90 days.
resource "aws_ecr_lifecycle_policy" "this" {
  for_each = var.repositories

  repository = aws_ecr_repository.this[each.key].name

  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Releases: the newest ${var.keep_releases} stay"
        selection    = { tagStatus = "tagged", tagPatternList = ["v*"], countType = "imageCountMoreThan", countNumber = var.keep_releases }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "Images that lost their tag: a week"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 3
        description  = "Everything else: ${var.keep_days} days"
        selection    = { tagStatus = "any", countType = "sinceImagePushed", countUnit = "days", countNumber = var.keep_days }
        action       = { type = "expire" }
      },
    ]
  })
}
