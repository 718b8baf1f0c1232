# Names of load balancers; over several regions, each answers those who are near while it is well.

data "aws_region" "current" {}

resource "aws_route53_health_check" "this" {
  for_each = var.latency_routing ? var.records : {}

  fqdn              = each.value.dns_name
  type              = "HTTPS"
  port              = 443
  resource_path     = var.health_check_path
  request_interval  = 30
  failure_threshold = 3

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_route53_record" "this" {
  #checkov:skip=CKV2_AWS_23: the load balancer controller made the balancer; its name and zone are inputs
  for_each = var.records

  zone_id         = var.zone_id
  name            = each.key
  type            = "A"
  set_identifier  = var.latency_routing ? data.aws_region.current.name : null
  health_check_id = var.latency_routing ? aws_route53_health_check.this[each.key].id : null

  alias {
    name                   = each.value.dns_name
    zone_id                = each.value.zone_id
    evaluate_target_health = true
  }

  dynamic "latency_routing_policy" {
    for_each = var.latency_routing ? [data.aws_region.current.name] : []
    content {
      region = latency_routing_policy.value
    }
  }
}
