# A certificate that renews itself, proven by records in the zone.

locals {
  certificate = length(var.domain_names) > 0

  # A name and its wildcard are proven by one and the same record.
  proofs = toset([for it in var.domain_names : trimprefix(it, "*.")])
}

resource "aws_acm_certificate" "this" {
  count = local.certificate ? 1 : 0

  domain_name               = var.domain_names[0]
  subject_alternative_names = slice(var.domain_names, 1, length(var.domain_names))
  validation_method         = "DNS"

  options {
    certificate_transparency_logging_preference = "ENABLED"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "proof" {
  for_each = local.proofs

  zone_id         = var.zone_id
  name            = [for it in aws_acm_certificate.this[0].domain_validation_options : it.resource_record_name if trimprefix(it.domain_name, "*.") == each.key][0]
  type            = [for it in aws_acm_certificate.this[0].domain_validation_options : it.resource_record_type if trimprefix(it.domain_name, "*.") == each.key][0]
  records         = [[for it in aws_acm_certificate.this[0].domain_validation_options : it.resource_record_value if trimprefix(it.domain_name, "*.") == each.key][0]]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  count = local.certificate ? 1 : 0

  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = [for it in aws_route53_record.proof : it.fqdn]
}
