mock_provider "aws" {}

variables {
  name              = "mcp-test"
  monthly_limit_usd = 400
  emails            = ["platform@example.com"]
}

run "the_example_works" {
  module {
    source = "./examples/basic"
  }
}

run "a_word_comes_before_the_limit_and_at_its_forecast" {
  assert {
    condition     = toset([for it in aws_budgets_budget.this.notification : "${it.notification_type} ${it.threshold}"]) == toset(["ACTUAL 80", "FORECASTED 100"])
    error_message = "80 % spent and 100 % forecast expected"
  }
}

run "a_tag_bounds_what_counts" {
  variables {
    cost_tag = { key = "project", value = "mcp-eks" }
  }
  assert {
    condition     = one(aws_budgets_budget.this.cost_filter).values == tolist(["user:project$mcp-eks"])
    error_message = "the filter is ${jsonencode(aws_budgets_budget.this.cost_filter)}"
  }
}

run "nothing_a_month_is_refused" {
  command = plan
  variables {
    monthly_limit_usd = 0
  }
  expect_failures = [var.monthly_limit_usd]
}

run "a_budget_that_tells_nobody_is_refused" {
  command = plan
  variables {
    emails = []
  }
  expect_failures = [var.emails]
}
