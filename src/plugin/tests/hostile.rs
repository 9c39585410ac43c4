//! Nothing that a file, an annotation or a Secret can say makes the host panic, and nothing bad opens a guard.

use super::*;
use crate::plugin::bundled::BUNDLED;
use proptest::prelude::*;

/// A bundled plugin with a piece cut out and another put in.
fn mutated() -> impl Strategy<Value = String> {
    let texts = prop::sample::select(BUNDLED.iter().map(|(_, text)| *text).collect::<Vec<_>>());
    (texts, any::<prop::sample::Index>(), 0..40_usize, "[ -~\\n]{0,12}").prop_map(|(text, at, cut, piece)| {
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        format!("{}{piece}{}", &text[..at], &text[end..])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_file_loads_or_is_a_problem_with_a_place(text in prop_oneof![mutated(), "\\PC{0,80}"]) {
        let mut host = Host::new(&[("dir/x.lua", &text)]);
        for problem in &host.loaded.problems {
            prop_assert!(problem.at.as_ref().is_some_and(|at| at.starts_with("dir/x.lua:")), "{problem}");
        }
        let shaped = host.shape(&[("ingress.kubernetes.io/whitelist-source-range", "10.0.0.0/8")]);
        // Whatever the file did to the whitelist: it acts, or the route is closed.
        let guarded = shaped.chain.steps.iter().any(|step| &*step.plugin == "whitelist");
        prop_assert!(guarded || shaped.chain.closed.is_some() || host.loaded.problems.is_empty());
    }

    #[test]
    fn any_value_is_taken_or_closes(list in "\\PC{0,40}", secret in "\\PC{0,40}", kind in "\\PC{0,10}") {
        let mut host = Host::new(&[]);
        host.secret("staff", &[("auth", &secret)]);
        let shaped = host.shape(&[
            ("ingress.kubernetes.io/whitelist-source-range", &list),
            ("ingress.kubernetes.io/auth-type", &kind),
            ("ingress.kubernetes.io/auth-secret", "staff"),
        ]);
        prop_assert!(shaped.chain.closed.is_some() || shaped.chain.steps.len() == 2);
    }
}

proptest! {
    #[test]
    fn credentials_never_panic(value in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut buffer = [0; 1024];
        let _ = crate::plugin::natives::decode_basic(&value, &mut buffer);
        let basic = [b"Basic ".as_slice(), &value].concat();
        if let Some((user, _)) = crate::plugin::natives::decode_basic(&basic, &mut buffer) {
            prop_assert!(!user.contains(&b':'));
        }
        let _ = crate::plugin::htpasswd::Verifier::parse(&value);
    }
}
