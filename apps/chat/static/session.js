// @ts-check
/**
 * Who the user of this window is. A window keeps its person over reloads; another window may take the same one up, or
 * come as somebody else.
 *
 * @typedef {{token: string, user: string, name: string, until: number}} Person `until`: milliseconds
 */

const KEY = "chat.person";

/** @param {Storage} storage */
function kept(storage) {
  try {
    const person = /** @type {Person | null} */ (JSON.parse(storage.getItem(KEY) ?? "null"));
    return person?.token && person.until > Date.now() ? person : null;
  } catch {
    return null;
  }
}

/** @param {Person} person */
function keep(person) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(person));
    localStorage.setItem(KEY, JSON.stringify(person));
  } catch {
    // Storage is forbidden or full: the person lasts as long as the page.
  }
}

export class Identity {
  /** @param {string} base URL of the chat's routes */
  constructor(base) {
    this._base = base;
    /** @type {Person | null} */
    this.person = kept(sessionStorage);
  }

  /** @returns {Person | null} who used this browser last */
  get known() {
    return kept(localStorage);
  }

  /** @param {Person} person */
  take(person) {
    this.person = person;
    keep(person);
  }

  /**
   * @param {string} name
   * @returns {Promise<Person>}
   */
  async guest(name) {
    const person = await this._ask("guest", { "content-type": "application/json" }, JSON.stringify({ name }));
    this.take(person);
    return person;
  }

  /**
   * The token of this window's person, a new one where that is asked for or the old one is about to expire.
   *
   * @param {boolean} fresh
   * @returns {Promise<string>}
   */
  async token(fresh) {
    const person = this.person;
    if (!person) throw Object.assign(new Error("signed out"), { fatal: true });
    // Another window of the same person may have a newer one.
    const known = this.known;
    if (known?.user === person.user && known.until > person.until) {
      this.take(known);
      return known.token;
    }
    if (!fresh && person.until - Date.now() > 30_000) return person.token;
    this.take(await this._ask("token", { authorization: `Bearer ${person.token}` }));
    return /** @type {Person} */ (this.person).token;
  }

  forget() {
    this.person = null;
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
  }

  /**
   * @param {string} path
   * @param {Record<string, string>} headers
   * @param {string} [body]
   * @returns {Promise<Person>}
   */
  async _ask(path, headers, body) {
    const response = await fetch(`${this._base}/${path}`, { method: "POST", headers, body });
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      const text = problem.errors?.[0]?.detail ?? problem.detail ?? problem.title ?? `the server said ${response.status}`;
      throw Object.assign(new Error(text), { fatal: [400, 401, 403, 404, 422].includes(response.status) });
    }
    const { token, user, name, expires_in } = await response.json();
    return { token, user, name, until: Date.now() + (expires_in || 86_400) * 1000 };
  }
}
