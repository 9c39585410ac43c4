use super::*;
use crate::cli::args;
use crate::ground::names::EntryPoints;
use crate::model::settings::{AccessLog, LogLevel, Token, entrypoint_named};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of `serve` with these flags, environment and config file (`CONFIG` in texts stands for its path).
fn gathered(flags: &[&str], environment: &[(&str, &str)], config: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("moongate.yaml");
    let name = file.to_str().unwrap();
    std::fs::write(&file, config).unwrap();
    let config = (!config.is_empty()).then(|| format!("--config={name}"));
    let words = ["moongate", "serve"].into_iter().chain(flags.iter().copied()).chain(config.as_deref());
    let matches = args::command().try_get_matches_from(words).map_err(|error| error.to_string())?;
    let (_, flags) = matches.subcommand().unwrap();
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    gather(flags, environment, Settings::default()).map_err(|errors| {
        let texts: Vec<String> =
            errors.iter().map(|error| error.to_string().replace(name, "CONFIG")).collect();
        texts.join("\n")
    })
}

fn good(flags: &[&str], environment: &[(&str, &str)], config: &str) -> Settings {
    gathered(flags, environment, config).unwrap()
}

#[track_caller]
fn bad(flags: &[&str], environment: &[(&str, &str)], config: &str, want: &str) {
    assert_eq!(gathered(flags, environment, config).unwrap_err(), want);
}

#[test]
fn nothing_said_is_the_defaults() {
    let settings = good(&[], &[], "");
    let [http] = &settings.entrypoints[..] else { panic!() };
    assert_eq!((&*http.name, http.address.to_string().as_str()), ("http", "[::]:8000"));
    assert_eq!(settings.admin.to_string(), "127.0.0.1:8580");
    assert_eq!(settings.grace, Duration::from_secs(30));
    assert_eq!((settings.access_log, settings.log_level), (AccessLog::Off, LogLevel::Info));
    assert_eq!(settings.classes.names, ["moongate".into(), "traefik".into()]);
    assert!(settings.workers >= 1 && !settings.strict && settings.admin_token.is_none());
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let config = "workers: 1\ngrace: 1s\naccess-log: common\nstrict: true\ningress-class: [a, b]\n";
    let environment =
        [("MOONGATE_WORKERS", "2"), ("MOONGATE_GRACE", "2s"), ("MOONGATE_INGRESS_CLASS", "c, d")];
    let settings = good(&["--workers", "3", "--strict=false"], &environment, config);
    assert_eq!(settings.workers, 3);
    assert_eq!(settings.grace, Duration::from_secs(2));
    assert_eq!(settings.access_log, AccessLog::Common);
    assert!(!settings.strict);
    // A list of a higher layer replaces the lower one's, it does not add to it.
    assert_eq!(settings.classes.names, ["c".into(), "d".into()]);
    assert!(good(&[], &[("MOONGATE_STRICT", "yes")], "").strict);
    assert!(good(&["--strict"], &[("MOONGATE_STRICT", "no")], "").strict);
}

#[test]
fn every_key_can_be_said_in_all_three_ways() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "sesame\n").unwrap();
    let token = token.to_str().unwrap();
    for key in KEYS.iter().filter(|key| key.later.is_none() && key.name != "config") {
        let value = match key.name {
            "access-log" => "json",
            "admin" => "127.0.0.1:1",
            "admin-token-file" => token,
            "entrypoint" => "web=127.0.0.1:80",
            "grace" => "5s",
            "log-level" => "debug",
            "manifests" | "plugins" => here,
            "nameserver" => "10.0.0.10",
            "to" => "127.0.0.1:3000",
            "workers" => "4",
            "controller" => "example.com/ingress",
            "ingress-class" | "namespace" => "name",
            _ if key.shape == Shape::Switch => "true",
            other => panic!("{other} has no value to try"),
        };
        let name = format!("MOONGATE_{}", key.name.replace('-', "_").to_uppercase());
        let by_flag = good(&[&format!("--{}={value}", key.name)], &[], "");
        let by_environment = good(&[], &[(&name, value)], "");
        let by_file = good(&[], &[], &format!("{}: {value}\n", key.name));
        let shown = format!("{by_flag:?}");
        assert_ne!(shown, format!("{:?}", Settings::default()), "{} changes nothing", key.name);
        assert_eq!(shown, format!("{by_environment:?}"), "{}", key.name);
        assert_eq!(shown, format!("{by_file:?}"), "{}", key.name);
    }
}

#[test]
fn the_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    let settings = good(
        &[],
        &[],
        &format!(
            "manifests: {here}\n\
             entrypoints:\n\
             - web=127.0.0.1:80,merge-slashes\n\
             - name: inner\n  address: '[::1]:81'\n  trusted-proxies: [10.0.0.0/8, fd00::/8]\n  allow-underscores: true\n\
             limits: {{ header-timeout: 5s, head-size: 32k, head-fields: 50, connections: 9, vm-memory: 8m }}\n\
             plugins:\n  dirs: [{here}]\n  disable: [pass-host]\n  deny: {{http, sleep}}\n  settings:\n    stamp: {{ text: hi, n: 3, on: true }}\n\
             nameserver: ['10.0.0.10', '[::1]:5353']\n"
        ),
    );
    assert_eq!(settings.sources.manifests, [PathBuf::from(here)]);
    assert_eq!(settings.plugin_dirs, [PathBuf::from(here)]);
    let [web, inner] = &settings.entrypoints[..] else { panic!() };
    assert!(web.merge_slashes && !web.allow_underscores && web.trusted_proxies.is_empty());
    assert!(inner.allow_underscores && !inner.merge_slashes);
    assert!(inner.trusted_proxies.contains("fd00::1".parse().unwrap()));
    assert_eq!(entrypoint_named(&settings.entrypoints, "inner"), Some(EntryPoints::one(1)));
    assert_eq!(settings.limits.header_timeout, Duration::from_secs(5));
    assert_eq!((settings.limits.head_size, settings.limits.head_fields), (32 << 10, 50));
    assert_eq!((settings.limits.connections, settings.limits.vm_memory), (9, 8 << 20));
    assert_eq!(settings.plugins.disable, ["pass-host".into()]);
    assert_eq!(settings.plugins.deny, ["http".into(), "sleep".into()]);
    let stamp = &settings.plugins.settings["stamp"];
    assert_eq!((&*stamp["text"], &*stamp["n"], &*stamp["on"]), ("hi", "3", "true"));
    assert_eq!(settings.nameservers, ["10.0.0.10:53".parse().unwrap(), "[::1]:5353".parse().unwrap()]);
    // By name, and the short form of `plugins`.
    let settings = good(
        &[],
        &[],
        &format!(
            "entrypoints: {{ a: ':80', b: {{ address: 'localhost:81' }} }}\nplugins: [{here}]\naccess-log: off\n"
        ),
    );
    let addresses: Vec<String> = settings.entrypoints.iter().map(|entry| entry.address.to_string()).collect();
    assert_eq!(addresses, ["[::]:80", "127.0.0.1:81"]);
    assert_eq!(settings.plugin_dirs.len(), 1);
}

#[test]
fn a_bad_value_is_named_with_its_place_wherever_it_was_said() {
    let want = "'many': must be a number from 1 to 1024";
    bad(&["--workers", "many"], &[], "", &format!("--workers: {want}"));
    bad(&[], &[("MOONGATE_WORKERS", "many")], "", &format!("MOONGATE_WORKERS: {want}"));
    bad(&[], &[], "grace: 1s\nworkers: many\n", &format!("CONFIG:2:10: workers: {want}"));
}

#[test]
fn every_flag_says_what_it_wants() {
    const ADDRESS: &str = "an address is written 127.0.0.1:8000, [::1]:8000, or :8000 for all of them";
    const UPSTREAM: &str = "an upstream is written HOST:PORT, like 127.0.0.1:3000";
    let proxies = "http=:80,trusted-proxies";
    for (flag, value, want) in [
        ("--access-log", "jsn", "'jsn': did you mean 'json'?".to_owned()),
        ("--access-log", "everything", "'everything': valid are: off, common, json".to_owned()),
        ("--admin", "8580", format!("'8580': {ADDRESS}")),
        ("--admin", ":+80", format!("':+80': {ADDRESS}")),
        ("--admin", "host:80", format!("'host:80': {ADDRESS}")),
        ("--admin", ":70000", format!("':70000': {ADDRESS}")),
        (
            "--admin-token-file",
            "/nowhere",
            "'/nowhere': cannot be read: No such file or directory (os error 2)".into(),
        ),
        ("--adopt-unclassed=maybe", "", "'maybe': is true or false".to_owned()),
        ("--controller", "a b", "'a b': a name is of letters, digits, '-', '.' and '/'".to_owned()),
        (
            "--grace",
            "5 s",
            "'5 s': a duration is written like 5s, 1m30s or 100ms (units ms, s, m, h)".to_owned(),
        ),
        ("--log-level", "inof", "'inof': did you mean 'info'?".to_owned()),
        ("--manifests", "/nowhere", "'/nowhere': there is no such file or folder".to_owned()),
        (
            "--nameserver",
            "dns",
            "'dns': a name server is written 10.0.0.10, 10.0.0.10:53 or [::1]:53".to_owned(),
        ),
        ("--plugins", "/nowhere", "'/nowhere': there is no such file or folder".to_owned()),
        ("--to", "localhost", format!("'localhost': {UPSTREAM}")),
        ("--to", "http://a:80/", format!("'http://a:80/': {UPSTREAM}: without a scheme, 'a:80'")),
        ("--to", "a:0", format!("'a:0': {UPSTREAM}; a port is 1..65535")),
        ("--to", "a b:80", format!("'a b:80': {UPSTREAM}")),
        ("--workers", "0", "'0': must be a number from 1 to 1024".to_owned()),
        ("--workers", "+1", "'+1': must be a number from 1 to 1024".to_owned()),
        (
            "--entrypoint",
            "8000",
            "'8000': an entrypoint is written NAME=ADDR[,OPTION...], like http=[::]:8000".into(),
        ),
        ("--entrypoint", "http=8000", format!("'8000': {ADDRESS}")),
        (
            "--entrypoint",
            "Web=:80",
            "'Web': an entrypoint's name is of the characters a-z, 0-9 and '-'".into(),
        ),
        (
            "--entrypoint",
            "http=:80,merge-slash",
            "'merge-slash': unknown entrypoint option: did you mean 'merge-slashes'?".to_owned(),
        ),
        ("--entrypoint", "http=:80,merge-slashes=2", "'2': is true or false".to_owned()),
        (
            "--entrypoint",
            proxies,
            "'trusted-proxies': is written trusted-proxies=10.0.0.0/8+192.0.2.1".to_owned(),
        ),
        (
            "--entrypoint",
            "http=:80,trusted-proxies=10.0.0.0/8+10.0.0.0/33",
            "'10.0.0.0/8+10.0.0.0/33': '10.0.0.0/33': prefix length is 0..32".to_owned(),
        ),
        ("--entrypoint", "https=:443,tls", "'tls': TLS entrypoints arrive with a later version".to_owned()),
        (
            "--entrypoint",
            "https=:443,http3",
            "'http3': HTTP/3 and TLS entrypoints arrive with a later version".to_owned(),
        ),
    ] {
        let flags = if value.is_empty() { vec![flag] } else { vec![flag, value] };
        let name = flag.split('=').next().unwrap();
        bad(&flags, &[], "", &format!("{name}: {want}"));
    }
}

#[test]
fn entrypoints_are_checked_against_each_other() {
    let two = |a, b| gathered(&["--entrypoint", a, "--entrypoint", b], &[], "");
    assert_eq!(
        two("a=:80", "a=:81").unwrap_err(),
        "--entrypoint: 'a=:81': the entrypoint 'a' is there twice"
    );
    assert_eq!(
        two("a=:80", "b=:80").unwrap_err(),
        "--entrypoint: 'b=:80': listens where the entrypoint 'a' does"
    );
    assert!(two("a=127.0.0.1:0", "b=127.0.0.1:0").is_ok());
    let settings = good(&[], &[("MOONGATE_ENTRYPOINT", "a=:80,merge-slashes; b=:81")], "");
    assert_eq!(settings.entrypoints.len(), 2);
    assert!(settings.entrypoints[0].merge_slashes);
}

#[test]
fn what_comes_later_is_refused_and_not_shown() {
    let help = args::command().find_subcommand_mut("serve").unwrap().render_long_help().to_string();
    for (flags, text) in [
        (
            &["--kubernetes"][..],
            "--kubernetes: routes from a cluster arrive with a later version; --manifests takes them from files",
        ),
        (&["--vip", "10.0.0.1/32@eth0"], "--vip: virtual IPs arrive with a later version"),
        (&["--vip-key-file", "x"], "--vip-key-file: virtual IPs arrive with a later version"),
        (
            &["--publish-address", "1.2.3.4"],
            "--publish-address: publishing an Ingress's status arrives with a later version",
        ),
        (
            &["--publish-service", "a/b"],
            "--publish-service: publishing an Ingress's status arrives with a later version",
        ),
    ] {
        bad(flags, &[], "", text);
        assert!(!help.contains(&format!("{} ", flags[0])), "{} is shown", flags[0]);
    }
    bad(
        &[],
        &[],
        "vips:\n- address: 10.0.0.1\n",
        "CONFIG:1:1: vips: virtual IPs arrive with a later version",
    );
    bad(
        &[],
        &[("MOONGATE_KUBERNETES", "true")],
        "",
        "MOONGATE_KUBERNETES: routes from a cluster arrive with a later version; --manifests takes them from files",
    );
}

#[test]
fn unknown_names_of_the_environment_are_errors_but_those_of_kubernetes_are_not() {
    bad(
        &[],
        &[("MOONGATE_ACESS_LOG", "json")],
        "",
        "MOONGATE_ACESS_LOG: unknown name: did you mean 'MOONGATE_ACCESS_LOG'?",
    );
    bad(
        &[],
        &[("MOONGATE_SOMETHING_ELSE_ENTIRELY", "1")],
        "",
        "MOONGATE_SOMETHING_ELSE_ENTIRELY: unknown name: names are those of the flags: MOONGATE_ACCESS_LOG is --access-log",
    );
    let kubelet = [
        ("MOONGATE_SERVICE_HOST", "10.0.0.1"),
        ("MOONGATE_SERVICE_PORT", "80"),
        ("MOONGATE_SERVICE_PORT_HTTP", "80"),
        ("MOONGATE_PORT", "tcp://10.0.0.1:80"),
        ("MOONGATE_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("MOONGATE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("MOONGATE_ADMIN_SERVICE_HOST", "10.0.0.2"),
        ("MOONGATE_ADMIN_PORT_8580_TCP_PROTO", "tcp"),
        ("MOONGATE_COMMIT", "abc"),
        ("MOONGATE_GRACE", ""),
        ("OTHER", "x"),
    ];
    assert_eq!(good(&[], &kubelet, "").grace, Duration::from_secs(30));
}

#[test]
fn wrong_files_are_named_by_line_and_column() {
    for (config, want) in [
        ("acess-log: json\n", "CONFIG:1:1: unknown key 'acess-log': did you mean 'access-log'?"),
        ("zebra-crossing: 1\n", "CONFIG:1:1: unknown key 'zebra-crossing': valid are: "),
        ("grace:\n", "CONFIG:1:6: grace: wants a value, not nothing"),
        ("grace: [1s]\n", "CONFIG:1:8: grace: wants a value, not a list"),
        ("- grace\n", "CONFIG:1:1: wants a mapping, not a list"),
        ("config: other.yaml\n", "CONFIG:1:1: a config file cannot name another one"),
        ("grace: 1s\n---\ngrace: 2s\n", "CONFIG:3:1: a config file is one YAML document"),
        ("grace: 1s\ngrace: 2s\n", "CONFIG:2:1: "),
        (
            "entrypoints:\n  web:\n    adress: ':80'\n",
            "CONFIG:3:5: entrypoints.web: unknown key 'adress': did you mean 'address'?",
        ),
        (
            "entrypoints:\n- name: web\n",
            "CONFIG:2:3: entrypoints: an entrypoint needs an address, like address: '[::]:8000'",
        ),
        (
            "entrypoints:\n  web: { address: ':80', tls: true }\n",
            "CONFIG:2:26: entrypoints.web.tls: 'tls': TLS entrypoints arrive with a later version",
        ),
        (
            "entrypoints:\n  web: { address: ':80', trusted-proxies: [x] }\n",
            "CONFIG:2:43: entrypoints.web.trusted-proxies: 'x': 'x' is not an IP address",
        ),
        ("entrypoints: 5\n", "CONFIG:1:14: entrypoints: wants a mapping, not a whole number"),
        ("entrypoints: {}\n", "CONFIG:1:14: entrypoints: needs at least one entrypoint"),
        ("entrypoints: []\n", "CONFIG:1:14: entrypoints: needs at least one entrypoint"),
        (
            "limits:\n  head-sze: 1k\n",
            "CONFIG:2:3: limits: unknown key 'head-sze': did you mean 'head-size'?",
        ),
        ("limits:\n  head-size: 1\n", "CONFIG:2:14: limits.head-size: '1': must be 1024 to 1048576 bytes"),
        ("limits: { idle-timeout: 0s }\n", "CONFIG:1:25: limits.idle-timeout: '0s': must be more than 0"),
        (
            "plugins: { disabled: [x] }\n",
            "CONFIG:1:12: plugins: unknown key 'disabled': did you mean 'disable'?",
        ),
        (
            "plugins: { deny: [htp] }\n",
            "CONFIG:1:19: plugins.deny: 'htp': unknown capability: did you mean 'http'?",
        ),
        (
            "plugins: { settings: { stamp: x } }\n",
            "CONFIG:1:31: plugins.settings.stamp: wants a mapping, not a text",
        ),
        ("plugins: /nowhere\n", "CONFIG:1:10: plugins: '/nowhere': there is no such file or folder"),
    ] {
        let got = gathered(&[], &[], config).unwrap_err();
        assert!(got.starts_with(want), "{config}\n  got: {got}\n want: {want}");
    }
    assert_eq!(good(&[], &[], "# nothing\n").grace, Duration::from_secs(30));
    bad(
        &["--config", "/nowhere.yaml"],
        &[],
        "",
        "--config: '/nowhere.yaml': cannot be read: No such file or directory (os error 2)",
    );
}

#[test]
fn every_error_is_said_at_once() {
    bad(
        &["--workers", "x", "--grace", "y"],
        &[("MOONGATE_GRACES", "1s")],
        "limits: { nope: 1 }\n",
        "MOONGATE_GRACES: unknown name: did you mean 'MOONGATE_GRACE'?\n\
         CONFIG:1:11: limits: unknown key 'nope': valid are: header-timeout, idle-timeout, body-timeout, head-size, \
         head-fields, target-size, connections, upstream-idle-timeout, hook-cpu, configure-cpu, test-cpu, hook-wall, \
         vm-memory\n\
         --workers: 'x': must be a number from 1 to 1024\n\
         --grace: 'y': a duration is written like 5s, 1m30s or 100ms (units ms, s, m, h)",
    );
}

#[test]
fn a_token_never_shows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let path = file.to_str().unwrap();
    std::fs::write(&file, " two words\n").unwrap();
    let error = gathered(&["--admin-token-file", path], &[], "").unwrap_err();
    assert!(
        error.ends_with("must hold one token of visible ASCII characters") && !error.contains("two"),
        "{error}"
    );
    std::fs::write(&file, "sesame\n").unwrap();
    assert_eq!(
        good(&["--admin-token-file", path], &[], "").admin_token.as_ref().map(Token::expose),
        Some("sesame")
    );
}

#[test]
fn clap_is_content_with_the_flags() {
    args::command().debug_assert();
    for key in KEYS.iter().filter(|key| key.name != "vips") {
        let id = key.name.replace('-', "_");
        let serve = args::command().find_subcommand("serve").unwrap().clone();
        assert!(serve.get_arguments().any(|arg| arg.get_id() == id.as_str()), "{} has no flag", key.name);
    }
}
