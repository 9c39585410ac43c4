use super::*;
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

const SHOP: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules:
  - host: shop.example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: shop, port: {number: 80}}}
";

/// A folder of manifests and what was read from it.
struct Folder {
    dir: TempDir,
    manifests: Manifests,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let manifests = Manifests::new(vec![dir.path().to_owned()]);
        let folder = Self { dir, manifests };
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn load(&mut self) -> Seen {
        let update = self.manifests.load();
        Seen::of(&self.dir, &update)
    }

    fn touch(&mut self, names: &[&str]) -> Option<Seen> {
        let paths = names.iter().map(|name| self.path(name)).collect();
        let touched = Touched { paths, ..Touched::default() };
        self.manifests.refresh(&touched).map(|update| Seen::of(&self.dir, &update))
    }
}

/// An update in a form that a table can show: `+ Ingress default/web`, `- ...`, and problems.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    changes: Vec<String>,
    problems: Vec<String>,
}

impl Seen {
    fn of(dir: &TempDir, update: &ObjectsUpdate) -> Self {
        let prefix = format!("{}/", dir.path().display());
        let mut changes: Vec<String> = update
            .changes
            .iter()
            .map(|change| format!("{} {}", if change.object.is_some() { '+' } else { '-' }, change.id))
            .collect();
        changes.sort();
        let problems =
            update.problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect();
        Self { changes, problems }
    }
}

fn seen(changes: &[&str], problems: &[&str]) -> Seen {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Seen { changes: own(changes), problems: own(problems) }
}

#[test]
fn a_folder_is_read_with_all_its_endings_and_subfolders() {
    let other = SHOP.replace("shop", "other");
    let mut folder = Folder::new(&[
        ("a.yaml", SHOP),
        ("sub/b.yml", &other),
        (
            "c.json",
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}}"#,
        ),
        ("notes.txt", "not: [yaml"),
        (".hidden.yaml", "not: [yaml"),
        (".git/x.yaml", "not: [yaml"),
        ("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"),
    ]);
    assert_eq!(
        folder.load(),
        seen(&["+ ConfigMap default/c", "+ Ingress default/other", "+ Ingress default/shop"], &[])
    );
    assert_eq!(folder.manifests.passed_over(), BTreeMap::from([("Pod", 1)]));
}

#[test]
fn a_change_of_one_file_touches_nothing_else() {
    let other = SHOP.replace("shop", "other");
    let mut folder = Folder::new(&[("a.yaml", SHOP), ("b.yaml", &other)]);
    folder.load();
    assert_eq!(folder.touch(&["a.yaml", "b.yaml"]), None);
    folder.write("a.yaml", &SHOP.replace("number: 80", "number: 81"));
    assert_eq!(folder.touch(&["a.yaml"]), Some(seen(&["+ Ingress default/shop"], &[])));
    folder.write("a.yaml", &format!("# a comment\n{}", SHOP.replace("number: 80", "number: 81")));
    assert_eq!(folder.touch(&["a.yaml"]), None);
    fs::remove_file(folder.path("a.yaml")).unwrap();
    assert_eq!(folder.touch(&["a.yaml"]), Some(seen(&["- Ingress default/shop"], &[])));
    fs::remove_dir_all(folder.dir.path()).unwrap();
    let gone = folder.manifests.refresh(&Touched::rescan()).unwrap();
    let gone = Seen::of(&folder.dir, &gone);
    assert_eq!(gone.changes, ["- Ingress default/other"]);
    assert!(gone.problems[0].ends_with(": there is no such file or folder"), "{gone:?}");
}

#[test]
fn a_bad_version_leaves_the_last_good_one_in_force() {
    let stays = "; the last good version stays in force";
    let mut folder = Folder::new(&[("a.yaml", SHOP)]);
    folder.load();
    // Refused by its grammar.
    folder.write("a.yaml", &SHOP.replace("Prefix", "prefix").replace("number: 80", "number: 99"));
    let problem = format!(
        "a.yaml:10:19: error: Ingress default/shop: spec.rules[0].http.paths[0].pathType: 'prefix': there is no such pathType{stays} (did you mean 'Prefix'?)"
    );
    assert_eq!(folder.touch(&["a.yaml"]), Some(seen(&[], &[&problem])));
    // Not YAML at all.
    folder.write("a.yaml", &SHOP.replace("kind: Ingress", "kind: [Ingress"));
    let update = folder.touch(&["a.yaml"]).unwrap();
    assert_eq!(update.changes, Vec::<String>::new());
    assert!(update.problems[0].starts_with("a.yaml:3:9: error: manifest "), "{update:?}");
    assert!(update.problems[0].ends_with(stays), "{update:?}");
    // Without a name.
    folder.write("a.yaml", &SHOP.replace("name: shop}", "nam: shop}"));
    let problem = format!("a.yaml:3:11: error: Ingress: metadata.name: name is missing{stays}");
    assert_eq!(folder.touch(&["a.yaml"]), Some(seen(&[], &[&problem])));
    // No text at all.
    fs::write(folder.path("a.yaml"), b"kind: \xff").unwrap();
    let update = folder.touch(&["a.yaml"]).unwrap();
    assert!(
        update.problems[0].ends_with("this is not UTF-8 text (line 1); the last good version stays in force")
    );
    // As it was: nothing was ever withdrawn.
    folder.write("a.yaml", SHOP);
    assert_eq!(folder.touch(&["a.yaml"]), Some(seen(&[], &[])));
}

#[test]
fn a_bad_document_leaves_its_neighbours_alone() {
    let file = |second: &str| {
        let (one, three) = (SHOP.replace("shop", "one"), SHOP.replace("shop", "three"));
        format!("{one}---\n{second}---\n{three}")
    };
    let two = SHOP.replace("shop", "two");
    let mut folder = Folder::new(&[("a.yaml", &file(&two))]);
    folder.load();
    folder.write(
        "a.yaml",
        &file("kind: [\n").replace("name: three, port: {number: 80}", "name: three, port: {number: 81}"),
    );
    let update = folder.touch(&["a.yaml"]).unwrap();
    assert_eq!(update.changes, ["+ Ingress default/three"]);
    assert_eq!(update.problems.len(), 1);
    assert!(update.problems[0].contains("stays in force"), "{update:?}");
    // Taken out: now it is gone.
    folder.write("a.yaml", &file(""));
    assert_eq!(
        folder.touch(&["a.yaml"]),
        Some(seen(&["+ Ingress default/three", "- Ingress default/two"], &[]))
    );
}

#[test]
fn problems_move_with_their_document() {
    let bad = SHOP.replace("pathType: Prefix", "pathType: prefix").replace("shop", "bad");
    let mut folder = Folder::new(&[("a.yaml", &format!("{SHOP}---\n{bad}"))]);
    let at = |seen: &Seen| seen.problems[0].split(": ").next().unwrap().to_owned();
    assert_eq!(at(&folder.load()), "a.yaml:22:19");
    folder.write("a.yaml", &format!("# one more line\n{SHOP}---\n{bad}"));
    assert_eq!(at(&folder.touch(&["a.yaml"]).unwrap()), "a.yaml:23:19");
}

#[test]
fn the_first_of_two_declarations_wins_and_the_second_takes_over() {
    let second = SHOP.replace("number: 80", "number: 81");
    let mut folder = Folder::new(&[("b.yaml", &second)]);
    assert_eq!(folder.load(), seen(&["+ Ingress default/shop"], &[]));
    folder.write("a.yaml", SHOP);
    let problem = format!(
        "b.yaml:1:1: error: Ingress default/shop: it is declared twice; {}:1:1 comes first and is in force, this one is passed over (delete one of them, or give it another name or namespace)",
        folder.path("a.yaml").display()
    );
    let problem = problem.replace(&format!("{}/", folder.dir.path().display()), "");
    assert_eq!(folder.touch(&["a.yaml"]), Some(seen(&["+ Ingress default/shop"], &[&problem])));
    fs::remove_file(folder.path("a.yaml")).unwrap();
    assert_eq!(folder.touch(&["a.yaml"]), Some(seen(&["+ Ingress default/shop"], &[])));
}

#[test]
fn a_file_found_empty_is_looked_at_twice() {
    let mut folder = Folder::new(&[("a.yaml", SHOP)]);
    folder.load();
    folder.write("a.yaml", "");
    assert_eq!(folder.touch(&["a.yaml"]), None);
    assert_eq!(folder.manifests.files.unsettled().len(), 1);
    assert_eq!(folder.touch(&["a.yaml"]), Some(seen(&["- Ingress default/shop"], &[])));
    assert_eq!(folder.manifests.files.unsettled().len(), 0);
}

#[test]
fn ten_thousand_ingresses_cost_little() {
    let cpu = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
    };
    let timed = |what: &str, work: &mut dyn FnMut()| {
        let before = cpu();
        work();
        println!("{what}: {:.2} ms CPU", cpu() - before);
    };
    let named = |n: usize| SHOP.replace("shop", &format!("shop-{n}"));
    let mut many = Folder::new(&[]);
    let mut whole = String::new();
    for n in 0..10_000 {
        many.write(&format!("{n}.yaml"), &named(n));
        whole.push_str("---\n");
        whole.push_str(&named(n));
    }
    timed("10,000 files", &mut || assert_eq!(many.manifests.load().changes.len(), 10_000));
    many.write("5000.yaml", &named(5_000).replace("number: 80", "number: 81"));
    timed("one of 10,000 files", &mut || assert_eq!(many.touch(&["5000.yaml"]).unwrap().changes.len(), 1));
    timed("nothing of 10,000 files", &mut || assert!(many.manifests.refresh(&Touched::rescan()).is_none()));
    let mut one = Folder::new(&[("all.yaml", &whole)]);
    timed("10,000 documents", &mut || assert_eq!(one.manifests.load().changes.len(), 10_000));
    one.write(
        "all.yaml",
        &whole.replace("name: shop-5000, port: {number: 80}", "name: shop-5000, port: {number: 81}"),
    );
    timed("one of 10,000 documents", &mut || assert_eq!(one.touch(&["all.yaml"]).unwrap().changes.len(), 1));
}

fn config_map(name: u8, value: u8) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{name}}}\ndata: {{k: v{value}}}\n")
}

/// What is in force, and every problem.
fn whole(manifests: &Manifests) -> (BTreeMap<String, Arc<Object>>, Vec<Problem>) {
    let objects = manifests.published.iter().map(|(id, object)| (id.to_string(), object.clone())).collect();
    (objects, manifests.problems.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is edited: reading only what changed ends where reading everything afresh ends.
    #[test]
    fn reading_changes_ends_where_reading_afresh_ends(
        edits in proptest::collection::vec(
            (0..3_usize, proptest::option::of(proptest::collection::vec((0..4_u8, 0..3_u8, 0..3_usize), 0..5))),
            1..8,
        ),
    ) {
        let mut folder = Folder::new(&[]);
        folder.load();
        for (file, documents) in edits {
            let name = format!("{file}.yaml");
            match documents {
                Some(documents) => {
                    let mut text = String::new();
                    for (name, value, lines) in documents {
                        let document = config_map(name, value);
                        text.extend(["---", &"\n".repeat(lines), "\n", &document]);
                    }
                    folder.write(&name, &text);
                }
                None => drop(fs::remove_file(folder.path(&name))),
            }
            // An empty file is believed the second time.
            folder.touch(&[&name]);
            folder.touch(&[&name]);
            let mut afresh = Manifests::new(vec![folder.dir.path().to_owned()]);
            afresh.load();
            prop_assert_eq!(whole(&folder.manifests), whole(&afresh));
        }
    }
}
