use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

const WANTED: Wanted = Wanted { extensions: &["txt"], max_size: 100, max_files: 3, what: "note" };

struct Folder {
    dir: TempDir,
    files: Files,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = Self { files: Files::new(vec![dir.path().to_owned()], WANTED), dir };
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

    /// `a.txt=text`, `b.txt gone`, `c.txt: why`.
    fn read(&mut self, touched: &Touched) -> Vec<String> {
        let readings = self.files.read(touched);
        readings
            .iter()
            .map(|(path, reading)| {
                let name = path.strip_prefix(self.dir.path()).unwrap().display();
                match reading {
                    Reading::Text(text) => format!("{name}={text}"),
                    Reading::Gone => format!("{name} gone"),
                    Reading::Unreadable(why) => format!("{name}: {why}"),
                }
            })
            .collect()
    }

    fn touch(&mut self, names: &[&str]) -> Vec<String> {
        let paths = names.iter().map(|name| self.path(name)).collect();
        self.read(&Touched { paths, ..Touched::default() })
    }

    fn problems(&self) -> Vec<String> {
        let prefix = format!("{}/", self.dir.path().display());
        self.files.problems().map(|problem| problem.to_string().replace(&prefix, "")).collect()
    }
}

#[test]
fn hidden_names_and_other_endings_are_passed_over() {
    let mut folder =
        Folder::new(&[("a.txt", "a"), (".b.txt", "b"), (".d/c.txt", "c"), ("d.txt~", "d"), ("e/f.txt", "f")]);
    assert_eq!(folder.read(&Touched::everything()), ["a.txt=a", "e/f.txt=f"]);
    assert_eq!(folder.touch(&[".b.txt", ".d/c.txt", "d.txt~"]), Vec::<String>::new());
}

#[test]
fn only_what_was_touched_is_read() {
    let mut folder = Folder::new(&[("a.txt", "a"), ("b/c.txt", "c")]);
    folder.read(&Touched::everything());
    folder.write("a.txt", "A");
    folder.write("b/c.txt", "C");
    assert_eq!(folder.touch(&["b"]), ["b/c.txt=C"]);
    fs::remove_dir_all(folder.path("b")).unwrap();
    assert_eq!(folder.touch(&["b"]), ["b/c.txt gone"]);
    assert_eq!(folder.touch(&["a.txt"]), ["a.txt=A"]);
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let mut folder = Folder::new(&[("a.txt", &"x".repeat(101)), ("b.txt", "b")]);
    fs::write(folder.path("c.txt"), b"one\ntwo\xff").unwrap();
    let want =
        ["a.txt: the file is larger than 100 bytes", "b.txt=b", "c.txt: this is not UTF-8 text (line 2)"];
    assert_eq!(folder.read(&Touched::everything()), want);
    folder.write("d.txt", "d");
    assert_eq!(folder.touch(&["d.txt"]), Vec::<String>::new());
    assert_eq!(
        folder.problems(),
        ["error: note d.txt: at most 3 files are read; this one and those after it are not"]
    );
}

#[test]
fn a_folder_that_may_not_be_read_is_not_an_empty_one() {
    let mut folder = Folder::new(&[("a/b.txt", "b")]);
    folder.read(&Touched::everything());
    fs::set_permissions(folder.path("a"), fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything, and has nothing to show here.
    if fs::read_dir(folder.path("a")).is_err() {
        assert_eq!(folder.read(&Touched::everything()), Vec::<String>::new());
        assert_eq!(folder.problems(), ["error: note a: we may not read it"]);
    }
    fs::set_permissions(folder.path("a"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn links_in_a_circle_end() {
    let mut folder = Folder::new(&[("a/b.txt", "b")]);
    symlink("..", folder.path("a/up")).unwrap();
    symlink("nowhere.txt", folder.path("dangling.txt")).unwrap();
    assert_eq!(folder.read(&Touched::everything()), ["a/b.txt=b"]);
    assert_eq!(folder.problems(), Vec::<String>::new());
}

#[test]
fn a_mounted_config_map_is_read_in_one_version() {
    let mut folder =
        Folder::new(&[("..1/a.txt", "one"), ("..1/b.txt", "one"), ("..2/a.txt", "two"), ("own.txt", "own")]);
    symlink("..1", folder.path("..data")).unwrap();
    symlink("..data/a.txt", folder.path("a.txt")).unwrap();
    // The kubelet makes the visible link of a new key after the swap: the version in force counts.
    assert_eq!(folder.read(&Touched::everything()), ["a.txt=one", "b.txt=one", "own.txt=own"]);
    symlink("..2", folder.path("..data_tmp")).unwrap();
    fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
    assert_eq!(folder.touch(&["..data"]), ["a.txt=two", "b.txt gone", "own.txt=own"]);
    // A version that is gone already: nothing is known, the next event tells.
    fs::remove_dir_all(folder.path("..2")).unwrap();
    folder.write("..3/a.txt", "three");
    symlink("..3", folder.path("..data_tmp")).unwrap();
    fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
    assert_eq!(folder.touch(&["a.txt"]), ["a.txt=three", "own.txt=own"]);
}

#[test]
fn a_root_inside_of_another_is_read_though_it_is_hidden() {
    let folder = Folder::new(&[("a.txt", "a"), (".b/c.conf", "c")]);
    let roots = vec![folder.dir.path().to_owned(), folder.path(".b/c.conf")];
    let mut folder = Folder { files: Files::new(roots, WANTED), ..folder };
    assert_eq!(folder.read(&Touched::everything()), [".b/c.conf=c", "a.txt=a"]);
    assert_eq!(folder.read(&Touched::everything()), [".b/c.conf=c", "a.txt=a"]);
    folder.write(".b/c.conf", "C");
    assert_eq!(folder.touch(&[".b/c.conf"]), [".b/c.conf=C"]);
}
