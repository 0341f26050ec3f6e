// The frame of every page: a way past the head, where one can go, the colours, and the page itself.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** `links`: none where there is nowhere to go. `isAt` is another for every page: who goes there by keyboard goes on at its heading. */
export function Shell({
  name,
  home,
  links,
  path,
  isAt,
  side,
  children,
}: {
  name: string;
  home: string;
  links: readonly { path: string; name: string }[] | undefined;
  path: string;
  isAt: string;
  side: ComponentChildren;
  children: ComponentChildren;
}) {
  const main = useRef<HTMLElement>(null);
  useFocusOnNewPage(isAt);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the page
      </a>
      <header>
        <a class="name" href={home}>
          {name}
        </a>
        {links && (
          <nav aria-label="Pages">
            {links.map((link) => (
              <a key={link.path} href={link.path} aria-current={path === link.path ? "page" : undefined}>
                {link.name}
              </a>
            ))}
          </nav>
        )}
        {side}
        <ThemeButton />
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

/** Whoever goes to another page by keyboard or hears it read goes on at its heading. */
function useFocusOnNewPage(isAt: string) {
  const before = useRef(isAt);
  useEffect(() => {
    if (before.current !== isAt) {
      before.current = isAt;
      document.querySelector<HTMLElement>("main h1")?.focus();
    }
  }, [isAt]);
}

const THEME = "gridtrail.theme";
const THEMES = ["system", "light", "dark"] as const;

function ThemeButton() {
  const [theme, setTheme] = useState(() => localStorage.getItem(THEME) ?? "system");
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme as (typeof THEMES)[number]) + 1) % THEMES.length] ?? "system";
  return (
    <button
      type="button"
      class="theme"
      onClick={() => {
        localStorage.setItem(THEME, next);
        setTheme(next);
      }}
    >
      Colours: {theme}
    </button>
  );
}
