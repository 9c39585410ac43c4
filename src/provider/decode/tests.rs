use super::*;
use crate::ground::yaml;
use crate::model::objects::{BackendTarget, Ingress, PathType};
use proptest::prelude::*;

fn decode(text: &str) -> Decoded {
    let source = Source { file: "web.yaml".into() };
    let mut all = Decoded::default();
    for node in yaml::parse(text).unwrap() {
        let decoded = document(&node, &source);
        all.items.extend(decoded.items);
        all.passed_over.extend(decoded.passed_over);
    }
    all
}

/// All problems of `text`, as a user reads them.
fn check(text: &str, want: &[&str]) {
    let source = Source { file: "web.yaml".into() };
    let mut got = Vec::new();
    for item in decode(text).items {
        let errors =
            item.faults.iter().any(|fault| fault.severity == crate::ground::problem::Severity::Error);
        assert_eq!(item.refused(), errors, "{text}");
        got.extend(item.faults.iter().map(|fault| fault.problem(&item.subject(), &source, 0).to_string()));
    }
    assert_eq!(got, want, "{text}");
}

/// The one object of `text`, which has no problems.
fn object(text: &str) -> Object {
    check(text, &[]);
    let mut objects: Vec<_> = decode(text).items.into_iter().flat_map(|item| item.objects).collect();
    assert_eq!(objects.len(), 1, "{text}");
    Object::clone(&objects.remove(0))
}

fn ingress(text: &str) -> Ingress {
    match object(text) {
        Object::Ingress(ingress) => ingress,
        other => panic!("{other:?}"),
    }
}

/// An Ingress with `spec` below its head, which is four lines long.
fn with_spec(spec: &str) -> String {
    format!("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: web}}\nspec:\n{spec}")
}

/// An Ingress with one path, whose keys are in line 8 on.
fn with_path(path: &str) -> String {
    with_spec(&format!("  rules:\n  - http:\n      paths:\n      - {path}\n"))
}

const GOOD_BACKEND: &str = "backend: {service: {name: s, port: {number: 80}}}";

#[test]
fn the_tutorials_ingress_is_read() {
    let ingress = ingress(
        "\
apiVersion: extensions/v1beta1
kind: Ingress
metadata:
  name: traefik-ingress
  namespace: default
  annotations:
    kubernetes.io/ingress.class: traefik
    traefik.frontend.rule.type: PathPrefixStrip
spec:
  rules:
  - host: test.traefik-ingress.io
    http:
      paths:
      - path: /locust
        backend:
          serviceName: locust-master
          servicePort: 8089
",
    );
    assert_eq!(ingress.meta.name.to_string(), "default/traefik-ingress");
    let annotation = &ingress.meta.annotations["traefik.frontend.rule.type"];
    assert_eq!((&*annotation.value, annotation.at), ("PathPrefixStrip", Pos { line: 8, column: 33 }));
    let rule = &ingress.rules[0];
    assert_eq!(
        (rule.host.to_string().as_str(), rule.at),
        ("test.traefik-ingress.io", Pos { line: 11, column: 11 })
    );
    let path = &rule.paths.as_ref().unwrap()[0];
    assert_eq!((&*path.path, path.path_type), ("/locust", PathType::ImplementationSpecific));
    let BackendTarget::Service { name, port } = &path.backend.target else { panic!() };
    assert_eq!((&**name, port.to_string().as_str()), ("locust-master", "8089"));
}

#[test]
fn both_shapes_of_an_ingress_take_their_own_words() {
    let v1 = with_spec(
        "  ingressClassName: traefik
  defaultBackend: {service: {name: s, port: {name: web}}}
  tls: [{hosts: [a.b, '*.c.d'], secretName: x}, {hosts: []}]
  rules:
  - host: '*.example.com'
  - http: {paths: [{path: '', pathType: ImplementationSpecific, backend: {resource: {kind: Bucket, name: b}}}]}
",
    );
    let v1 = ingress(&v1);
    assert_eq!(v1.class.unwrap().value, "traefik".into());
    assert_eq!(v1.tls[0].hosts.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.b", "*.c.d"]);
    assert_eq!(v1.tls[0].secret.as_ref().unwrap().value, "x".into());
    assert!(v1.tls[1].secret.is_none());
    assert!(v1.rules[0].paths.is_none());
    let path = &v1.rules[1].paths.as_ref().unwrap()[0];
    assert_eq!((&*path.path, &path.backend.target), ("/", &BackendTarget::Resource("Bucket/b".into())));

    let beta = "\
apiVersion: networking.k8s.io/v1beta1
kind: Ingress
metadata: {name: web, namespace: shop, creationTimestamp: '2026-01-01T00:00:00Z'}
spec:
  backend: {serviceName: s, servicePort: web}
  rules:
  - http: {paths: [{backend: {serviceName: t, servicePort: '80'}}]}
";
    let beta = ingress(beta);
    assert_eq!(beta.meta.created, Some(1_767_225_600));
    let port = |target: &BackendTarget| match target {
        BackendTarget::Service { port, .. } => format!("{port:?}"),
        BackendTarget::Resource(_) => String::new(),
    };
    assert_eq!(port(&beta.default_backend.unwrap().target), "Name(\"web\")");
    assert_eq!(port(&beta.rules[0].paths.as_ref().unwrap()[0].backend.target), "Number(80)");
}

#[test]
fn what_is_no_object_of_ours_is_told_or_counted() {
    for (text, want) in [
        (
            "a: 1\n",
            "web.yaml:1:1: error: document: this is no Kubernetes object: it has no kind (begin it with 'apiVersion: ...' and 'kind: ...')",
        ),
        (
            "kind: Ingress\n",
            "web.yaml:1:1: error: Ingress: this is no Kubernetes object: it has no apiVersion (begin it with 'apiVersion: ...' and 'kind: ...')",
        ),
        ("- a\n", "web.yaml:1:1: error: document: this is no Kubernetes object, but a list"),
        (
            "apiVersion: v1\nkind: 3\n",
            "web.yaml:2:7: error: document: kind: '3': this must be a text, but unquoted it is a whole number (put it in quotes: \"3\")",
        ),
        (
            "apiVersion: networking.k8s.io/v2\nkind: Ingress\nmetadata: {name: a}\n",
            "web.yaml:1:13: error: Ingress default/a: apiVersion: 'networking.k8s.io/v2': Ingress is not read in this API version (write networking.k8s.io/v1 or networking.k8s.io/v1beta1 or extensions/v1beta1)",
        ),
        (
            "apiVersion: network.k8s.io/v1\nkind: Ingress\n",
            "web.yaml:1:13: error: Ingress: apiVersion: 'network.k8s.io/v1': Ingress is not read in this API version (write networking.k8s.io/v1 or networking.k8s.io/v1beta1 or extensions/v1beta1)",
        ),
        (
            "apiVersion: discovery.k8s.io/v2\nkind: EndpointSlice\n",
            "web.yaml:1:13: error: EndpointSlice: apiVersion: 'discovery.k8s.io/v2': EndpointSlice is not read in this API version (write discovery.k8s.io/v1 or discovery.k8s.io/v1beta1)",
        ),
    ] {
        check(text, &[want]);
    }
    let decoded =
        decode("apiVersion: serving.knative.dev/v1\nkind: Service\n---\napiVersion: v1\nkind: Pod\n");
    assert!(decoded.items.is_empty());
    assert_eq!(decoded.passed_over, BTreeMap::from([("Service".to_owned(), 1), ("Pod".to_owned(), 1)]));
}

#[test]
fn metadata_is_checked_as_an_api_server_does() {
    let map = |metadata: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\n");
    for (metadata, want) in [
        ("{}", "web.yaml:3:11: error: ConfigMap: metadata.name: name is missing"),
        ("[]", "web.yaml:3:11: error: ConfigMap: metadata: this must be a mapping, not a list"),
        (
            "{name: 7}",
            "web.yaml:3:18: error: ConfigMap: metadata.name: '7': this must be a text, but unquoted it is a whole number (put it in quotes: \"7\")",
        ),
        (
            "{name: Web}",
            "web.yaml:3:18: error: ConfigMap default/Web: metadata.name: 'Web': this must be a DNS name: lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit, at most 253",
        ),
        (
            "{name: a, namespace: b.c}",
            "web.yaml:3:32: error: ConfigMap b.c/a: metadata.namespace: 'b.c': this must be a DNS label: lower-case letters, digits and '-', beginning and ending with a letter or digit, at most 63",
        ),
        (
            "{name: a, creationTimestamp: yesterday}",
            "web.yaml:3:40: error: ConfigMap default/a: metadata.creationTimestamp: 'yesterday': this is no RFC 3339 time (it looks like 2026-11-23T08:00:00Z; it may be left out)",
        ),
        (
            "{name: a, labels: {app: x y}}",
            "web.yaml:3:35: error: ConfigMap default/a: metadata.labels.app: 'x y': a label's value is letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, at most 63",
        ),
        (
            "{name: a, annotations: {x: 3}}",
            "web.yaml:3:38: error: ConfigMap default/a: annotation x: '3': this must be a text, but unquoted it is a whole number (put it in quotes: \"3\")",
        ),
        (
            "{name: a, annotations: {traefik.frontend.priority: 3}}",
            "web.yaml:3:62: error: ConfigMap default/a: annotation traefik.frontend.priority: '3': this must be a text, but unquoted it is a whole number (put it in quotes: \"3\")",
        ),
        (
            "{name: a, annotations: {x: on}}",
            "web.yaml:3:38: error: ConfigMap default/a: annotation x: 'on': this must be a text, but unquoted it is true or false (put it in quotes: \"on\")",
        ),
        (
            "{name: a, annotations: {x: {y: z}}}",
            "web.yaml:3:38: error: ConfigMap default/a: annotation x: this must be a text, not a mapping",
        ),
        (
            "{name: a, annotations: {x: \"a\\u0007\"}}",
            "web.yaml:3:38: error: ConfigMap default/a: annotation x: 'a\\u{7}': control characters are not allowed",
        ),
        (
            "{name: a, annotations: {a/b/c: x}}",
            "web.yaml:3:42: error: ConfigMap default/a: annotation a/b/c: 'a/b/c': the name of a key is letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, at most 63",
        ),
    ] {
        check(&map(metadata), &[want]);
    }
    check(
        &map("{name: a, annotations: {x: null, y: \"a\\nb\"}, labels: null, creationTimestamp: null}"),
        &[],
    );
    check(
        "apiVersion: v1\nkind: ConfigMap\n",
        &["web.yaml:1:1: error: ConfigMap: metadata: metadata is missing"],
    );
}

#[test]
fn what_kubectl_adds_is_not_kept() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}', x: z}}\n";
    assert_eq!(object(text).meta().annotations.len(), 1);
}

#[test]
fn hosts_and_paths_of_an_ingress_are_checked() {
    let host = |host: &str| with_spec(&format!("  rules: [{{host: {host}}}]\n"));
    for (text, complaint) in [
        ("'*'", "'*' alone is no host: leave 'host' out to take every host"),
        ("'*.*.com'", "a wildcard is '*.' and a DNS name, such as *.example.com"),
        ("'*foo.com'", "a wildcard is '*.' and a DNS name, such as *.example.com"),
        ("Foo.com", "a host is written in lower case"),
        ("foo.com.", "a host has no dot at its end"),
        ("foo.com:80", "a host has no port"),
        ("10.0.0.1", "a host is a DNS name, not an address"),
        ("'::1'", "a host is a DNS name, not an address"),
        (
            "a_b.com",
            "this must be a DNS name: lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit, at most 253",
        ),
    ] {
        let value = text.trim_matches('\'');
        let want =
            format!("web.yaml:5:18: error: Ingress default/web: spec.rules[0].host: '{value}': {complaint}");
        check(&host(text), &[&want]);
    }
    check(&host("''"), &[]);
    for (path, want) in [
        (
            "{path: foo, pathType: Prefix, BACKEND}",
            "web.yaml:8:16: error: Ingress default/web: spec.rules[0].http.paths[0].path: 'foo': ",
        ),
        (
            "{path: /a//b, pathType: Exact, BACKEND}",
            "web.yaml:8:16: error: Ingress default/web: spec.rules[0].http.paths[0].path: '/a//b': ",
        ),
        (
            "{path: /a/../b, pathType: Exact, BACKEND}",
            "web.yaml:8:16: error: Ingress default/web: spec.rules[0].http.paths[0].path: '/a/../b': ",
        ),
        (
            "{path: /a%2fb, pathType: ImplementationSpecific, BACKEND}",
            "web.yaml:8:16: error: Ingress default/web: spec.rules[0].http.paths[0].path: '/a%2fb': ",
        ),
        (
            "{path: '', pathType: Prefix, BACKEND}",
            "web.yaml:8:16: error: Ingress default/web: spec.rules[0].http.paths[0].path: a path begins with '/'; this one is empty (write '/' to take every path)",
        ),
        (
            "{path: \"/a\\n\", pathType: Prefix, BACKEND}",
            "web.yaml:8:16: error: Ingress default/web: spec.rules[0].http.paths[0].path: '/a\\n': control characters are not allowed",
        ),
        (
            "{path: /, BACKEND}",
            "web.yaml:8:9: error: Ingress default/web: spec.rules[0].http.paths[0].pathType: pathType is missing; networking.k8s.io/v1 asks for it (add 'pathType: Prefix' (or Exact, or ImplementationSpecific))",
        ),
        (
            "{path: /, pathType: prefix, BACKEND}",
            "web.yaml:8:29: error: Ingress default/web: spec.rules[0].http.paths[0].pathType: 'prefix': there is no such pathType (did you mean 'Prefix'?)",
        ),
        (
            "{path: /, pathType: Regex, BACKEND}",
            "web.yaml:8:29: error: Ingress default/web: spec.rules[0].http.paths[0].pathType: 'Regex': there is no such pathType (valid are: Prefix, Exact, ImplementationSpecific)",
        ),
        (
            "{path: /, pathType: Prefix}",
            "web.yaml:8:9: error: Ingress default/web: spec.rules[0].http.paths[0].backend: backend is missing",
        ),
        (
            "{path: /, pathtype: Prefix, pathType: Prefix, BACKEND}",
            "web.yaml:8:19: error: Ingress default/web: spec.rules[0].http.paths[0].pathtype: there is no such field (did you mean 'pathType'?)",
        ),
    ] {
        let text = with_path(&path.replace("BACKEND", GOOD_BACKEND));
        let source = Source { file: "web.yaml".into() };
        let item = decode(&text).items.remove(0);
        let got: Vec<String> =
            item.faults.iter().map(|fault| fault.problem(&item.subject(), &source, 0).to_string()).collect();
        assert_eq!(got.len(), 1, "{path}: {got:?}");
        // The grammar of paths words its own complaints.
        assert!(
            if want.ends_with(": ") { got[0].starts_with(want) } else { got[0] == want },
            "{path}: {got:?}"
        );
    }
}

#[test]
fn backends_of_an_ingress_are_checked() {
    let at = "error: Ingress default/web: spec.rules[0].http.paths[0].backend";
    for (backend, want) in [
        ("{}", format!("web.yaml:8:46: {at}: a backend needs a 'service' or a 'resource'")),
        (
            "{service: {name: s, port: {number: 1}}, resource: {kind: K, name: n}}",
            format!("web.yaml:8:46: {at}: a backend is a 'service' or a 'resource', not both"),
        ),
        ("{service: {port: {number: 80}}}", format!("web.yaml:8:56: {at}.service.name: name is missing")),
        ("{service: {name: s}}", format!("web.yaml:8:56: {at}.service.port: port is missing")),
        (
            "{service: {name: s, port: 80}}",
            format!("web.yaml:8:72: {at}.service.port: this must be a mapping, not a whole number"),
        ),
        (
            "{service: {name: s, port: {}}}",
            format!("web.yaml:8:72: {at}.service.port: a port needs a 'name' or a 'number'"),
        ),
        (
            "{service: {name: s, port: {number: 80, name: x}}}",
            format!("web.yaml:8:72: {at}.service.port: a port is given by 'name' or by 'number', not both"),
        ),
        (
            "{service: {name: s, port: {number: 0}}}",
            format!("web.yaml:8:81: {at}.service.port.number: '0': a port is 1..65535"),
        ),
        (
            "{service: {name: s, port: {number: 70000}}}",
            format!("web.yaml:8:81: {at}.service.port.number: '70000': a port is 1..65535"),
        ),
        (
            "{service: {name: s, port: {number: '80'}}}",
            format!(
                "web.yaml:8:81: {at}.service.port.number: '80': this must be a whole number, not a text (leave out the quotes)"
            ),
        ),
        (
            "{service: {name: s, port: {name: Web}}}",
            format!(
                "web.yaml:8:79: {at}.service.port.name: 'Web': a port's name is lower-case letters, digits and single '-', with a letter, at most 15"
            ),
        ),
        (
            "{service: {name: S_1, port: {number: 80}}}",
            format!(
                "web.yaml:8:63: {at}.service.name: 'S_1': this must be a DNS label: lower-case letters, digits and '-', beginning and ending with a letter or digit, at most 63"
            ),
        ),
        (
            "{serviceName: s, servicePort: 80}",
            format!(
                "web.yaml:8:46: {at}: serviceName and servicePort are of the beta versions of Ingress (in networking.k8s.io/v1 write service: {{ name: NAME, port: {{ number: PORT }} }})"
            ),
        ),
        ("{resource: {kind: K}}", format!("web.yaml:8:57: {at}.resource.name: name is missing")),
    ] {
        check(&with_path(&format!("{{path: /, pathType: Prefix, backend: {backend}}}")), &[&want]);
    }
}

#[test]
fn misspelled_fields_of_an_ingress_name_the_right_ones() {
    let at = "error: Ingress default/web: spec";
    for (spec, want) in [
        (
            "  rule: []\n  defaultBackend: {service: {name: s, port: {number: 1}}}\n",
            format!("web.yaml:5:3: {at}.rule: there is no such field (did you mean 'rules'?)"),
        ),
        (
            "  rules: [{hots: a.b}]\n",
            format!("web.yaml:5:12: {at}.rules[0].hots: there is no such field (did you mean 'host'?)"),
        ),
        (
            "  rules: [{host: a.b, http: {path: []}}]\n",
            format!(
                "web.yaml:5:30: {at}.rules[0].http.path: there is no such field (did you mean 'paths'?)|web.yaml:5:29: {at}.rules[0].http.paths: paths is missing"
            ),
        ),
        (
            "  rules: [{host: a.b, http: {paths: []}}]\n",
            format!(
                "web.yaml:5:37: {at}.rules[0].http.paths: the list is empty (name a path, or leave out 'http')"
            ),
        ),
        ("  rules: {}\n", format!("web.yaml:5:10: {at}.rules: this must be a list, not a mapping")),
        (
            "  tls: []\n",
            format!("web.yaml:5:3: {at}: an Ingress has 'rules' or a 'defaultBackend'; this one has neither"),
        ),
        (
            "  rules: [{host: a.b}]\n  tls: [{secretname: x}]\n",
            format!(
                "web.yaml:6:10: {at}.tls[0].secretname: there is no such field (did you mean 'secretName'?)"
            ),
        ),
    ] {
        check(&with_spec(spec), &want.split('|').collect::<Vec<_>>());
    }
    // A newer Kubernetes may know it: said, but not refused.
    check(
        &with_spec("  rules: [{host: a.b}]\n  trafficDistribution: x\n"),
        &[
            "web.yaml:6:3: warning: Ingress default/web: spec.trafficDistribution: there is no such field; it is passed over",
        ],
    );
    let both = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web, annotations: {kubernetes.io/ingress.class: a}}\nspec: {ingressClassName: b, rules: [{host: a.b}]}\n";
    check(
        both,
        &[
            "web.yaml:4:26: warning: Ingress default/web: spec.ingressClassName: the annotation kubernetes.io/ingress.class says 'a'; this field decides",
        ],
    );
}

#[test]
fn all_faults_of_an_object_are_told_at_once() {
    let text = with_path("{path: x, pathType: x, backend: {service: {name: X, port: {number: 0}}}}");
    assert_eq!(decode(&text).items[0].faults.len(), 4);
}

#[test]
fn too_many_paths_are_refused() {
    let paths = vec![format!("{{path: /, pathType: Prefix, {GOOD_BACKEND}}}"); 1_001].join(", ");
    check(
        &with_spec(&format!("  rules: [{{http: {{paths: [{paths}]}}}}]\n")),
        &[
            "web.yaml:5:10: error: Ingress default/web: spec.rules: an Ingress has at most 1000 paths; this one has 1001 (make several Ingresses of it)",
        ],
    );
}

#[test]
fn too_large_objects_are_refused() {
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: '{}'}}\n",
        "x".repeat(MAX_OBJECT)
    );
    check(
        &text,
        &[&format!(
            "web.yaml:1:1: error: ConfigMap default/a: the object has {} bytes; at most 1572864 are taken",
            MAX_OBJECT + 43
        )],
    );
}

#[test]
fn classes_name_their_controller() {
    let class = |spec: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: a, annotations: {{ingressclass.kubernetes.io/is-default-class: 'true'}}}}\n{spec}"
        )
    };
    let Object::IngressClass(good) = object(&class("spec: {controller: moongate.io/ingress-controller}\n"))
    else {
        panic!()
    };
    assert_eq!(
        (&*good.controller, good.is_default, good.meta.name.to_string().as_str()),
        ("moongate.io/ingress-controller", true, "a")
    );
    check(&class(""), &["web.yaml:1:1: error: IngressClass a: spec: spec is missing"]);
    check(
        &class("spec: {controller: traefik}\n"),
        &[
            "web.yaml:4:20: error: IngressClass a: spec.controller: 'traefik': a controller is a domain and a path, such as moongate.io/ingress-controller",
        ],
    );
}

#[test]
fn services_are_read_by_type() {
    let service =
        |spec: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec: {spec}\n");
    let Object::Service(tcp) = object(&service(
        "{ports: [{name: web, port: 80, targetPort: x, appProtocol: h2c}, {name: dns, port: 80, protocol: UDP}]}",
    )) else {
        panic!()
    };
    assert_eq!(tcp.ports.len(), 1);
    assert_eq!(
        (&*tcp.ports[0].name, tcp.ports[0].port, tcp.ports[0].app_protocol.as_deref()),
        ("web", 80, Some("h2c"))
    );
    let Object::Service(named) = object(&service("{type: ExternalName, externalName: db.example.com}"))
    else {
        panic!()
    };
    assert_eq!(named.external_name.unwrap().value, "db.example.com".into());
    check(&service("{clusterIP: None}"), &[]);
    for (spec, want) in [
        ("{}", "web.yaml:4:7: error: Service default/s: spec: a Service of this type needs 'ports'"),
        (
            "{type: ExternalName}",
            "web.yaml:4:7: error: Service default/s: spec.externalName: externalName is missing",
        ),
        (
            "{type: ExternalName, externalName: a_b}",
            "web.yaml:4:42: error: Service default/s: spec.externalName: 'a_b': this must be a DNS name: lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit, at most 253",
        ),
        (
            "{type: Externalname, ports: []}",
            "web.yaml:4:14: error: Service default/s: spec.type: 'Externalname': there is no such type of Service (did you mean 'ExternalName'?)",
        ),
        (
            "{ports: [{port: 1}, {port: 2, name: a}]}",
            "web.yaml:4:16: error: Service default/s: spec.ports[0]: each of several ports needs a name",
        ),
        (
            "{ports: [{port: 1, name: a}, {port: 2, name: a}]}",
            "web.yaml:4:36: error: Service default/s: spec.ports[1]: 'a': two ports have this name",
        ),
        (
            "{ports: [{port: 1, name: a}, {port: 1, name: b}]}",
            "web.yaml:4:36: error: Service default/s: spec.ports[1]: the port 1 is given twice for TCP",
        ),
        (
            "{ports: [{port: 1, protocol: HTTP}]}",
            "web.yaml:4:36: error: Service default/s: spec.ports[0].protocol: 'HTTP': a protocol is TCP, UDP or SCTP",
        ),
        ("{ports: [{}]}", "web.yaml:4:16: error: Service default/s: spec.ports[0].port: port is missing"),
    ] {
        check(&service(spec), &[want]);
    }
}

#[test]
fn slices_are_read_with_their_conditions() {
    let head = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s-1, labels: {kubernetes.io/service-name: s}}\n";
    let text = format!(
        "{head}addressType: IPv4\nports: [{{name: web, port: 8080}}, {{port: 1, protocol: UDP}}]\nendpoints:\n- addresses: [127.0.0.1, 10.0.0.9]\n- addresses: [10.0.0.2]\n  conditions: {{ready: false, serving: true, terminating: true}}\n"
    );
    let Object::EndpointSlice(slice) = object(&text) else { panic!() };
    assert_eq!((&*slice.service, slice.legacy, slice.ports), ("s", false, vec![("web".into(), 8080)]));
    let shown: Vec<_> =
        slice.endpoints.iter().map(|e| (e.address.to_string(), e.ready, e.serving, e.terminating)).collect();
    assert_eq!(
        shown,
        [("127.0.0.1".to_owned(), true, true, false), ("10.0.0.2".to_owned(), false, true, true)]
    );
    check(
        &format!("{head}addressType: IPv4\nports: null\nendpoints: null\n"),
        &[
            "web.yaml:1:1: warning: EndpointSlice default/s-1: it has no 'ports', so nothing can be sent to its endpoints",
        ],
    );
    for (rest, want) in [
        (
            "endpoints: [{addresses: [a]}]",
            "web.yaml:6:26: error: EndpointSlice default/s-1: endpoints[0].addresses[0]: 'a': this is not an IPv4 address",
        ),
        (
            "endpoints: [{addresses: ['::1']}]",
            "web.yaml:6:26: error: EndpointSlice default/s-1: endpoints[0].addresses[0]: '::1': the address is not of the slice's addressType",
        ),
        (
            "endpoints: [{addresses: [169.254.169.254]}]",
            "web.yaml:6:26: error: EndpointSlice default/s-1: endpoints[0].addresses[0]: '169.254.169.254': an endpoint is never an unspecified, link-local, multicast or broadcast address",
        ),
        (
            "endpoints: [{addresses: []}]",
            "web.yaml:6:25: error: EndpointSlice default/s-1: endpoints[0].addresses: an endpoint needs an address",
        ),
        (
            "endpoints: [{}]",
            "web.yaml:6:13: error: EndpointSlice default/s-1: endpoints[0].addresses: addresses is missing",
        ),
        (
            "endpoints: [{addresses: [10.0.0.1], conditions: {ready: maybe}}]",
            "web.yaml:6:57: error: EndpointSlice default/s-1: endpoints[0].conditions.ready: 'maybe': this must be true or false, not a text",
        ),
    ] {
        check(&format!("{head}addressType: IPv4\nports: [{{port: 1}}]\n{rest}\n"), &[want]);
    }
    check(
        &format!("{head}addressType: IPv5\n"),
        &[
            "web.yaml:4:14: error: EndpointSlice default/s-1: addressType: 'IPv5': there is no such address type (did you mean 'IPv4'?)",
        ],
    );
}

#[test]
fn endpoints_become_a_slice_for_each_subset() {
    let text = "\
apiVersion: v1
kind: Endpoints
metadata: {name: s}
subsets:
- addresses: [{ip: 10.0.0.1}]
  notReadyAddresses: [{ip: 10.0.0.2}]
  ports: [{port: 80}]
- addresses: [{ip: 'fd00::1'}]
  ports: [{port: 81, name: b}]
";
    check(text, &[]);
    let objects = decode(text).items.remove(0).objects;
    let shown: Vec<String> = objects
        .iter()
        .map(|object| match &**object {
            Object::EndpointSlice(slice) => {
                format!("{} {} {:?} {}", object.id(), slice.service, slice.ports, slice.endpoints.len())
            }
            _ => String::new(),
        })
        .collect();
    assert_eq!(shown, ["Endpoints default/s s [(\"\", 80)] 2", "Endpoints default/s#1 s [(\"b\", 81)] 1"]);
}

#[test]
fn secrets_are_decoded_and_never_shown() {
    let secret = |rest: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{rest}\n");
    let Object::Secret(good) =
        object(&secret("data: {a: aGVsbG8=, b: \"aGVs\\nbG8=\"}\nstringData: {b: over, c: \"x\\0\"}"))
    else {
        panic!()
    };
    let data: Vec<_> = good.data.iter().map(|(key, value)| (&**key, value.expose())).collect();
    assert_eq!(data, [("a", &b"hello"[..]), ("b", b"over"), ("c", b"x\0")]);
    for (rest, want) in [
        (
            "data: {a: top secret}",
            "web.yaml:4:11: error: Secret default/s: data.a: this is not base64 (values of 'data' are base64; plain text goes below 'stringData')",
        ),
        (
            "stringData: {a: 12345}",
            "web.yaml:4:17: error: Secret default/s: stringData.a: this must be a text, not a whole number (put it in quotes)",
        ),
        (
            "stringData: {a/b: x}",
            "web.yaml:4:19: error: Secret default/s: stringData[a/b]: 'a/b': a key is letters, digits, '-', '_' and '.', not beginning with '..'",
        ),
        (
            "type: kubernetes.io/tls\nstringData: {tls.crt: x}",
            "web.yaml:1:1: error: Secret default/s: a Secret of type kubernetes.io/tls needs the key tls.key",
        ),
    ] {
        check(&secret(rest), &[want]);
    }
}

#[test]
fn lists_are_taken_apart() {
    let text = "\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
- {apiVersion: v1, kind: Pod}
- apiVersion: v1
  kind: ConfigMapList
  items:
  - {metadata: {name: b}}
  - {metadata: {name: B}}
";
    let decoded = decode(text);
    let ids: Vec<String> = decoded.items.iter().map(Item::subject).collect();
    assert_eq!(ids, ["ConfigMap default/a", "ConfigMap default/b", "ConfigMap default/B"]);
    assert_eq!(decoded.items.iter().filter(|item| item.refused()).count(), 1);
    assert_eq!(decoded.passed_over, BTreeMap::from([("Pod".to_owned(), 1)]));
}

/// A manifest of every kind, to be damaged.
const ALL_KINDS: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, labels: {a: b}, annotations: {x: 'y'}}
spec:
  ingressClassName: c
  tls: [{hosts: [a.b], secretName: s}]
  rules: [{host: a.b, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]
---
{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s}, addressType: IPv4, ports: [{port: 1}], endpoints: [{addresses: [10.0.0.1]}]}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: s}, subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 1}]}]}
---
{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: YQ==}, stringData: {b: c}}
---
{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: s}, data: {a: b}}]}
";

proptest! {
    #[test]
    fn damaged_manifests_are_refused_without_a_panic(
        cuts in proptest::collection::vec((0..ALL_KINDS.len(), 0..40_usize, "[-\\[\\]{}:,?&*!|>'\" \\n0-9a-z\u{0}~]{0,6}"), 1..6),
    ) {
        let mut text = ALL_KINDS.to_owned();
        for (at, length, instead) in cuts {
            let from = at.min(text.len());
            text.replace_range(from..(from + length).min(text.len()), &instead);
        }
        let source = Source { file: "x".into() };
        for part in yaml::split(&text) {
            for node in yaml::parse_from(part.text, part.lines_before).unwrap_or_default() {
                for item in document(&node, &source).items {
                    prop_assert!(!item.refused() || !item.faults.is_empty());
                    for fault in &item.faults {
                        let _shown = fault.problem(&item.subject(), &source, 0).to_string();
                    }
                }
            }
        }
    }
}
