// SPDX-License-Identifier: Apache-2.0
//! libmodsecurity's C API, made safe: the few functions that are used, and who owns what.
//!
//! Invariant: nothing of the library is shared between threads. `Library` and what is made of it hold raw pointers,
//! so the compiler keeps them where they were made; loading, whose parser has state of its own for the whole
//! process, happens in one thread at a time.
#![expect(unsafe_code, reason = "a C library; each call says why its contract is kept")]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// The library's objects, which only it looks into.
#[repr(C)]
struct Opaque([u8; 0]);

/// `ModSecurityIntervention`.
#[repr(C)]
struct Intervention {
    status: c_int,
    pause: c_int,
    url: *mut c_char,
    log: *mut c_char,
    disruptive: c_int,
}

#[link(name = "modsecurity")]
unsafe extern "C" {
    fn msc_init() -> *mut Opaque;
    fn msc_cleanup(library: *mut Opaque);
    fn msc_set_connector_info(library: *mut Opaque, name: *const c_char);
    fn msc_set_log_cb(library: *mut Opaque, log: extern "C" fn(*mut c_void, *const c_void));
    fn msc_create_rules_set() -> *mut Opaque;
    fn msc_rules_add(rules: *mut Opaque, text: *const c_char, error: *mut *const c_char) -> c_int;
    fn msc_rules_cleanup(rules: *mut Opaque) -> c_int;
    fn msc_new_transaction(library: *mut Opaque, rules: *mut Opaque, log: *mut c_void) -> *mut Opaque;
    fn msc_transaction_cleanup(transaction: *mut Opaque);
    fn msc_process_connection(
        t: *mut Opaque,
        client: *const c_char,
        p: c_int,
        server: *const c_char,
        p: c_int,
    ) -> c_int;
    fn msc_process_uri(
        t: *mut Opaque,
        uri: *const c_char,
        method: *const c_char,
        version: *const c_char,
    ) -> c_int;
    fn msc_add_n_request_header(
        t: *mut Opaque,
        name: *const u8,
        n: usize,
        value: *const u8,
        v: usize,
    ) -> c_int;
    fn msc_process_request_headers(t: *mut Opaque) -> c_int;
    fn msc_append_request_body(t: *mut Opaque, body: *const u8, size: usize) -> c_int;
    fn msc_process_request_body(t: *mut Opaque) -> c_int;
    fn msc_intervention(t: *mut Opaque, found: *mut Intervention) -> c_int;
    fn free(memory: *mut c_void);
}

/// Held while the library starts or reads rules.
static LOADING: Mutex<()> = Mutex::new(());

/// The library at work for one thread.
pub(crate) struct Library(*mut Opaque);

/// Rules that were read. They belong to no library and may end before or after one.
pub(crate) struct RuleSet {
    rules: *mut Opaque,
}

/// A request, as the library wants it.
pub(crate) struct Request<'a> {
    pub(crate) client: &'a CStr,
    /// What the library shall take for the server's address.
    pub(crate) server: &'a CStr,
    pub(crate) method: &'a CStr,
    pub(crate) target: &'a CStr,
    pub(crate) headers: &'a [(&'a [u8], &'a [u8])],
    pub(crate) body: &'a [u8],
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) stop: bool,
    /// What rules that fitted wrote to the log.
    pub(crate) lines: Vec<Vec<u8>>,
}

/// Lines of one request. More than these are not kept: a request with thousands of matches is bad enough.
type Log = RefCell<Vec<Vec<u8>>>;
const MAX_LINES: usize = 256;

impl Library {
    pub(crate) fn new() -> Option<Library> {
        let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: no arguments, and the lock keeps other threads from what it sets up for the whole process.
        let library = unsafe { msc_init() };
        if library.is_null() {
            return None;
        }
        // SAFETY: the library was just made, and copies the name.
        unsafe {
            msc_set_connector_info(library, c"hop3".as_ptr());
            msc_set_log_cb(library, keep_line);
        }
        Some(Library(library))
    }

    /// Reads rules as they would stand in a file.
    pub(crate) fn load(&self, text: &str) -> Result<RuleSet, String> {
        let text = CString::new(text).map_err(|_| "a rule has a zero byte")?;
        let mut error: *const c_char = ptr::null();
        let (set, count) = {
            let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: no arguments; the set is freed when `RuleSet` is dropped, which takes the lock itself.
            let set = RuleSet { rules: unsafe { msc_create_rules_set() } };
            // SAFETY: the set was just made, `text` ends with a zero and lives longer than the call.
            let count = unsafe { msc_rules_add(set.rules, text.as_ptr(), &raw mut error) };
            (set, count)
        };
        if count >= 0 {
            return Ok(set);
        }
        if error.is_null() {
            return Err("the rules cannot be read".into());
        }
        // SAFETY: on failure the library leaves a copy of its message, made with strdup, which is the caller's.
        let told = unsafe { CStr::from_ptr(error) }.to_string_lossy().trim().to_owned();
        // SAFETY: as above; it is not used after this.
        unsafe { free(error.cast_mut().cast()) };
        Err(told)
    }

    /// Runs the rules over a request.
    pub(crate) fn judge(&self, set: &RuleSet, request: &Request<'_>) -> Outcome {
        let log = Log::default();
        // SAFETY: library and rules live longer than the transaction, which ends in this function, as does `log`,
        // which `keep_line` gets back as the shared reference it was made from.
        let transaction =
            unsafe { msc_new_transaction(self.0, set.rules, (&raw const log).cast_mut().cast()) };
        if transaction.is_null() {
            return Outcome { stop: true, lines: Vec::new() };
        }
        // SAFETY: every pointer is of a text with a zero at its end, or goes with its length; the library copies
        // what it keeps. The phases are called in the order it wants.
        let stop = unsafe {
            msc_process_connection(transaction, request.client.as_ptr(), 0, request.server.as_ptr(), 80);
            msc_process_uri(transaction, request.target.as_ptr(), request.method.as_ptr(), c"1.1".as_ptr());
            for (name, value) in request.headers {
                msc_add_n_request_header(transaction, name.as_ptr(), name.len(), value.as_ptr(), value.len());
            }
            msc_process_request_headers(transaction);
            if !request.body.is_empty() {
                msc_append_request_body(transaction, request.body.as_ptr(), request.body.len());
            }
            msc_process_request_body(transaction);
            is_stopped(transaction)
        };
        // SAFETY: it is not used after this.
        unsafe { msc_transaction_cleanup(transaction) };
        Outcome { stop, lines: log.into_inner() }
    }
}

/// # Safety
/// The transaction must be alive.
unsafe fn is_stopped(transaction: *mut Opaque) -> bool {
    let mut found =
        Intervention { status: 200, pause: 0, url: ptr::null_mut(), log: ptr::null_mut(), disruptive: 0 };
    // SAFETY: the struct has the form of the header's; the texts it gets are copies, which are the caller's to free,
    // and freeing none is allowed.
    unsafe {
        msc_intervention(transaction, &raw mut found);
        free(found.url.cast());
        free(found.log.cast());
    }
    found.disruptive != 0
}

/// Called by the library for each rule that fits and is to be logged.
extern "C" fn keep_line(log: *mut c_void, line: *const c_void) {
    if log.is_null() || line.is_null() {
        return;
    }
    // SAFETY: `judge` gave the first, a log that lives until the transaction has ended, used by this thread alone;
    // the second is a text with a zero at its end for as long as this call takes (the library's usual log property).
    let (log, line) = unsafe { (&*log.cast::<Log>(), CStr::from_ptr(line.cast())) };
    if let Ok(mut lines) = log.try_borrow_mut()
        && lines.len() < MAX_LINES
    {
        lines.push(line.to_bytes().to_vec());
    }
}

impl Drop for RuleSet {
    fn drop(&mut self) {
        let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: nothing uses it any more: transactions end where they begin.
        unsafe { msc_rules_cleanup(self.rules) };
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: as above.
        unsafe { msc_cleanup(self.0) };
    }
}
