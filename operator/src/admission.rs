//! Who may ask for what: the `ValidatingAdmissionPolicy` in `config/policies`, written by `cargo xtask rbacgen`.
//!
//! In: where a spec names Secrets and ConfigMaps. Out: one manifest. Whoever makes or changes an `McpServer` needs the verb
//! `use` on its class and `get` on every Secret and ConfigMap that it names. One question to the authorizer costs 350,000
//! of an expression's 1,000,000, so each validation asks about one name; who may get all of a namespace is asked once.
//! The operator itself changes finalizers and status alone, and passes; it enforces classes at every reconcile besides.
//! Source: <https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/>.

use std::fmt::Write as _;

/// Name of the policy and of its binding.
pub const NAME: &str = "mcp-eks-rights";
/// Where the manifest lies.
pub const PATH: &str = "config/policies/admission.yaml";
/// Secrets, and ConfigMaps, that one spec may name.
const MOST: usize = 8;

/// Lists of names in a spec `s`, as CEL.
const SECRETS: [&str; 5] = [
    "s.?env.orValue([]).filter(e, has(e.valueFrom) && has(e.valueFrom.secretKeyRef)).map(e, e.valueFrom.secretKeyRef.name)",
    "s.?envFrom.orValue([]).filter(e, has(e.secretRef)).map(e, e.secretRef.name)",
    "s.?volumes.orValue([]).filter(v, has(v.secret)).map(v, v.secret.secretName)",
    "s.?imagePullSecrets.orValue([]).map(p, p.name)",
    "[?s.server.?database.?postgres.?secretRef.?name, ?s.server.?product.?postgres.?secretRef.?name, \
     ?s.server.?order.?postgres.?secretRef.?name, ?s.server.?custom.?kv.?valkey.?secretRef.?name, \
     ?s.?auth.?apiKey.?secretRef.?name, ?s.?tools.?consentKeyRef.?name, ?s.?audit.?postgres.?secretRef.?name]",
];
const CONFIG_MAPS: [&str; 4] = [
    "s.?env.orValue([]).filter(e, has(e.valueFrom) && has(e.valueFrom.configMapKeyRef)).map(e, e.valueFrom.configMapKeyRef.name)",
    "s.?envFrom.orValue([]).filter(e, has(e.configMapRef)).map(e, e.configMapRef.name)",
    "s.?volumes.orValue([]).filter(v, has(v.configMap)).map(v, v.configMap.name)",
    "[?s.server.?database.?postgres.?caConfigMapRef.?name, ?s.?audit.?postgres.?caConfigMapRef.?name]",
];

const HEAD: &str = r#"# Made by `cargo xtask rbacgen` from operator/src/admission.rs, which says more.
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: mcp-eks-rights
  labels: {app.kubernetes.io/part-of: mcp-eks}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [mcp-eks.dev]
      apiVersions: ["*"]
      resources: [mcpservers]
      operations: [CREATE, UPDATE]
  matchConditions:
  # The operator's finalizer goes whatever the spec says.
  - name: stays
    expression: "!has(object.metadata.deletionTimestamp)"
  # Labels, annotations and finalizers give nothing.
  - name: asks-for-something
    expression: request.operation == 'CREATE' || object.spec != oldObject.spec
  variables:
  # The spec, and the one before.
  - name: specs
    expression: "request.operation == 'UPDATE' ? [object.spec, oldObject.spec] : [object.spec]"
  - name: asksForClass
    expression: >-
      variables.specs.size() == 1 || variables.specs[0].?className != variables.specs[1].?className
      || variables.specs[0].?identity != variables.specs[1].?identity
"#;

const CLASS: &str = r"  - expression: >-
      !variables.asksForClass || !has(object.spec.className) || authorizer.group('mcp-eks.dev').resource('mcpserverclasses')
      .namespace(request.namespace).name(object.spec.className).check('use').allowed()
    messageExpression: >-
      'you may not use McpServerClass ' + object.spec.className + ' in namespace ' + request.namespace
      + ': ask a platform admin for the verb use on it (resource mcpserverclasses, group mcp-eks.dev)'
    message: you may not use this McpServerClass
    reason: Forbidden
";

const BINDING: &str = r"---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: mcp-eks-rights
  labels: {app.kubernetes.io/part-of: mcp-eks}
spec:
  policyName: mcp-eks-rights
  validationActions: [Deny]
";

/// The manifest.
#[must_use]
pub fn manifest() -> String {
    let mut variables = String::new();
    let mut validations = CLASS.to_owned();
    for (kind, resource, lists) in [("Secret", "secrets", &SECRETS[..]), ("ConfigMap", "configmaps", &CONFIG_MAPS[..])]
    {
        named(&mut variables, kind, lists);
        for index in 0..MOST {
            validation(&mut validations, kind, resource, index);
        }
    }
    format!("{HEAD}{variables}  validations:\n{validations}{BINDING}")
}

/// The names, and one variable for each that differs from those before it: what is left without the first of what is left.
fn named(text: &mut String, kind: &str, lists: &[&str]) {
    let lists = lists.join("\n      + ");
    let _ = write!(
        text,
        "  # Names of {kind}s: those of the spec, and those of the one before.\n  - name: lists{kind}\n    expression: >-\n      \
         variables.specs.map(s,\n      {lists})\n  - name: left{kind}0\n    expression: >-\n      variables.lists{kind}.size() \
         == 2 && variables.lists{kind}[0] == variables.lists{kind}[1] ? [] : variables.lists{kind}[0]\n"
    );
    for index in 1..MOST {
        let before = format!("variables.left{kind}{}", index - 1);
        let _ = write!(
            text,
            "  - name: left{kind}{index}\n    expression: \"{before}.filter(name, name != {before}[0])\"\n"
        );
    }
}

fn validation(text: &mut String, kind: &str, resource: &str, index: usize) {
    let left = format!("variables.left{kind}{index}");
    let core = format!("authorizer.group('').resource('{resource}').namespace(request.namespace)");
    let more = if index + 1 == MOST {
        format!("{left}.filter(name, name != {left}[0]).size() == 0 && ")
    } else {
        String::new()
    };
    let _ = write!(
        text,
        "  - expression: >-\n      {left}.size() == 0 || ({more}({core}.check('get').allowed()\n      || \
         {core}.name({left}[0]).check('get').allowed()))\n    messageExpression: >-\n      'you may not get {kind} ' + {left}[0] \
         + ' in namespace ' + request.namespace + ', so no server of yours may: name another, or ask for that right'\n    \
         message: you may not get a {kind} that the server names, or it names more than {MOST}\n    reason: Forbidden\n"
    );
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{CONFIG_MAPS, NAME, PATH, SECRETS, manifest};

    #[test]
    fn the_manifest_is_fresh() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PATH);
        assert_eq!(
            fs::read_to_string(path).unwrap_or_default(),
            manifest(),
            "{PATH} is stale: run `cargo xtask rbacgen`"
        );
        assert!(manifest().matches(NAME).count() == 3);
    }

    /// What names Secrets and ConfigMaps in members of lists.
    const LISTS: [&str; 7] = [
        "env.valueFrom.secretKeyRef",
        "env.valueFrom.configMapKeyRef",
        "envFrom.secretRef",
        "envFrom.configMapRef",
        "volumes.secret",
        "volumes.configMap",
        "imagePullSecrets",
    ];

    /// A reference that the schema gains has to be asked about too.
    #[test]
    fn every_reference_of_the_schema_is_asked_about() {
        let schema = serde_json::to_value(&mcp_crds::crds().unwrap()[0]).unwrap();
        let spec = schema.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap();
        let mut found = Vec::new();
        references(spec, &mut Vec::new(), &mut found);
        assert!(LISTS.iter().all(|list| found.iter().any(|path| path == list)), "{found:?}");
        let asked = [&SECRETS[..], &CONFIG_MAPS[..]].concat().join(" ").replace(".?", ".");
        for path in found.iter().filter(|path| !LISTS.contains(&path.as_str())) {
            assert!(asked.contains(&format!("s.{path}.name")), "nobody asks about {path}");
        }
    }

    /// Ways to what names a Secret or a ConfigMap: members that are called so.
    fn references(schema: &serde_json::Value, way: &mut Vec<String>, found: &mut Vec<String>) {
        let properties = schema.get("properties").or_else(|| schema.pointer("/items/properties"));
        for (name, member) in properties.and_then(|it| it.as_object()).into_iter().flatten() {
            way.push(name.clone());
            let named = ["secret", "configMap", "imagePullSecrets"].contains(&name.as_str());
            if named || (name.ends_with("Ref") && name != "fieldRef") {
                found.push(way.join("."));
            } else {
                references(member, way, found);
            }
            way.pop();
        }
    }
}
