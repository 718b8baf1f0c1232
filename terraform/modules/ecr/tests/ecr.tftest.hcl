mock_provider "aws" {
  mock_resource "aws_ecr_repository" {
    defaults = { registry_id = "123456789012", repository_url = "123456789012.dkr.ecr.us-west-2.amazonaws.com/mock" }
  }
}

run "the_example_works" {
  module {
    source = "./examples/basic"
  }
  assert {
    condition     = toset(keys(output.repository_urls)) == toset(["dashboard", "operator", "servers"])
    error_message = "three repositories expected"
  }
}

run "tags_never_move_and_every_push_is_scanned" {
  assert {
    condition     = alltrue([for it in aws_ecr_repository.this : it.image_tag_mutability == "IMMUTABLE" && it.image_scanning_configuration[0].scan_on_push])
    error_message = "a repository lets tags move, or is not scanned"
  }
}

run "releases_outlive_the_ninety_days" {
  assert {
    condition     = [for it in jsondecode(aws_ecr_lifecycle_policy.this["operator"].policy).rules : it.selection.countNumber] == [30, 7, 90]
    error_message = "30 releases, 7 and 90 days expected, in this order"
  }
}

run "images_kept_for_a_day_are_refused" {
  command = plan
  variables {
    keep_days = 1
  }
  expect_failures = [var.keep_days]
}

run "no_release_kept_is_refused" {
  command = plan
  variables {
    keep_releases = 0
  }
  expect_failures = [var.keep_releases]
}

run "a_repository_in_capitals_is_refused" {
  command = plan
  variables {
    repositories = ["Operator"]
  }
  expect_failures = [var.repositories]
}

run "a_prefix_with_two_hyphens_is_refused" {
  command = plan
  variables {
    prefix = "mcp--eks"
  }
  expect_failures = [var.prefix]
}

run "an_alias_as_key_is_refused" {
  command = plan
  variables {
    kms_key_arn = "arn:aws:kms:us-west-2:123456789012:alias/ecr"
  }
  expect_failures = [var.kms_key_arn]
}
