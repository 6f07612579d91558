/* The C side of the test double of ITEX's plug-in; the package's docstring says what it stands for.
 *
 * Needs libc alone: TensorFlow's loader asks for `TF_InitKernel` and no more, and the one function of
 * Python that is called is declared here. The order of the steps is ITEX's: constructor (dlopen), state
 * machine, ITEX_OPS_OVERRIDE, Python side, graph options.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define SPACE " \t\r\n"
#define NAME_LETTERS "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

int PyRun_SimpleString(const char *source);

/* ---- Messages and ends of the process ---- */

static void say(char severity, const char *format, ...) {
  va_list values;
  va_start(values, format);
  fprintf(stderr, "%c itex_double] ", severity);
  vfprintf(stderr, format, values);
  fputc('\n', stderr);
  va_end(values);
}

/* What a malformed TF_XLA_FLAGS does in TensorFlow: no abort, no exit handlers, status 1. */
#define QUIT_QUIETLY(...) (say('F', __VA_ARGS__), fflush(NULL), _exit(1))

/* ---- Readers of the environment ---- */

static bool is_true(const char *text) { return !strcasecmp(text, "1") || !strcasecmp(text, "true"); }

static bool is_false(const char *text) { return !strcasecmp(text, "0") || !strcasecmp(text, "false"); }

static bool read_lenient(const char *name, bool when_unset) {
  const char *text = getenv(name);
  return text ? is_true(text) : when_unset;
}

static bool read_strict(const char *name, bool when_unset) {
  const char *text = getenv(name);
  if (!text) return when_unset;
  if (is_true(text) || is_false(text)) return is_true(text);
  say('F', "Non-OK-status: INVALID_ARGUMENT: Failed to parse the env-var ${%s} into bool: %s. "
      "Use the default value: %d", name, text, when_unset);
  abort();
}

/* ---- TF_XLA_FLAGS: the effective level of auto-clustering ---- */

typedef struct {
  int single_gpu, general;
} Levels;

static bool read_number(const char *text, int *number) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (end == text || errno || value < INT_MIN || value > INT_MAX) return false;
  *number = (int)value;
  return end[strspn(end, SPACE "\v\f")] == '\0';
}

static bool read_single_gpu(char *text, int *number) {
  const char opening[] = "single-gpu(";
  size_t length = strlen(text);
  if (strncmp(text, opening, sizeof opening - 1) || text[length - 1] != ')') return false;
  text[length - 1] = '\0';
  return read_number(text + sizeof opening - 1, number);
}

static bool read_levels(char *text, Levels *levels) {
  if (!strcmp(text, "fusible")) {
    levels->single_gpu = levels->general = 1;
    return true;
  }
  if (read_number(text, &levels->general)) {
    levels->single_gpu = levels->general;
    return true;
  }
  return read_single_gpu(text, &levels->single_gpu);
}

/* Copies `--name="some value"` to `flag` without its quotes; returns where it ends. */
static const char *copy_quoted(const char *start, const char *opening, char *flag) {
  const char *from = opening + 1;
  flag = mempcpy(flag, start, (size_t)(opening - start));
  for (; *from && *from != *opening; from++) {
    if (*opening == '"' && *from == '\\' && from[1]) from++;
    *flag++ = *from;
  }
  *flag = '\0';
  return *from ? from + 1 : from;
}

/* Copies the next flag to `flag`; returns where it ends, NULL if there is none: TensorFlow gives up
 * at the first word that does not start with a dash, without a word. */
static const char *next_flag(const char *text, char *flag) {
  text += strspn(text, SPACE);
  if (*text != '-') return NULL;
  const char *end = text + strspn(text, NAME_LETTERS);
  if (*end == '=' && (end[1] == '"' || end[1] == '\'')) return copy_quoted(text, end + 1, flag);
  end += strcspn(end, SPACE);
  *(char *)mempcpy(flag, text, (size_t)(end - text)) = '\0';
  return end;
}

/* The names of all other flags differ between releases of TensorFlow and are not judged here. */
static void apply_flag(char *flag, Levels *levels) {
  const char name[] = "--tf_xla_auto_jit";
  if (strncmp(flag, "--", 2)) QUIT_QUIETLY("Unknown flag in TF_XLA_FLAGS: %s", flag);
  if (strncmp(flag, name, sizeof name - 1)) return;
  char *rest = flag + sizeof name - 1;
  if (*rest == '\0') QUIT_QUIETLY("Unknown flag in TF_XLA_FLAGS: %s", flag);
  if (*rest == '=' && !read_levels(rest + 1, levels)) QUIT_QUIETLY("Couldn't interpret value for flag %s", flag);
}

static Levels parse_flags(const char *text) {
  Levels levels = {0, 0};
  char *flag = malloc(strlen(text) + 1);
  while ((text = next_flag(text, flag))) apply_flag(flag, &levels);
  free(flag);
  return levels;
}

static Levels parse_file(const char *name) {
  static char text[65536];
  FILE *file = fopen(name, "r");
  if (!file) {
    QUIT_QUIETLY("Could not open file \"%s\" to read flags for environment variable \"TF_XLA_FLAGS\". "
                 "(We assumed \"%s\" was a file name because it did not start with a \"--\".)", name, name);
  }
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return parse_flags(text);
}

/* Exported, so that this parser can be compared with TensorFlow's. */
bool itex_double_parse_auto_jit(void) {
  const char *text = getenv("TF_XLA_FLAGS");
  if (!text || !*text) return false;
  Levels levels = text[strspn(text, SPACE)] == '-' ? parse_flags(text) : parse_file(text);
  return levels.single_gpu > 0 || levels.general > 0;
}

/* Inside a TensorFlow process TensorFlow itself is asked, as ITEX does: it knows all flags' names. */
static bool is_auto_jit_enabled(void) {
  void *tensorflow = dlopen("libtensorflow_cc.so.2", RTLD_LAZY | RTLD_NOLOAD);
  void *found = tensorflow ? dlsym(tensorflow, "TF_GetXlaAutoJitEnabled") : NULL;
  unsigned char (*ask)(void);
  *(void **)&ask = found;
  return found ? ask() : itex_double_parse_auto_jit();
}

/* ---- What the library does at load ---- */

typedef struct {
  bool npd, legacy, disable, jit, xla, warned;
} Machine;

static Machine read_machine(void) {
  Machine m = {.npd = read_lenient("ITEX_ENABLE_NEXTPLUGGABLE_DEVICE", true),
               .legacy = read_lenient("TF_USE_LEGACY_KERAS", false),
               .disable = read_lenient("ITEX_DISABLE_XLA", false),
               .jit = is_auto_jit_enabled()};
#ifdef ITEX_2_15
  m.xla = m.jit;
#else
  m.warned = !m.jit && !(m.legacy && m.disable);
  m.xla = m.legacy ? m.jit : !(m.disable && !m.jit);
#endif
  return m;
}

static void prepare_for_xla(void) {
#ifndef ITEX_2_15
  say('W', "ITEX XLA auto_jit is enabled! There will be performance drop if you are not using XLA.");
#endif
  setenv("ITEX_REMAPPER", "0", 0);
  setenv("ITEX_LAYOUT_OPT", "0", 0);
  setenv("ITEX_ENABLE_MULTIPLE_STREAM", "1", 0);
  setenv("MHA", "0", 0);
}

static void refuse_xla_on_stream_executor(void) {
#ifndef ITEX_2_15
  say('F', "PluggableDevice cannot enable XLA! Please export ITEX_ENABLE_NEXTPLUGGABLE_DEVICE=1 to enable XLA.");
  abort();
#endif
}

static Machine configure_device(void) {
  Machine m = read_machine();
  if (m.warned) say('W', "Set TF_USE_LEGACY_KERAS=0 or ITEX_DISABLE_XLA=1 if your script does not use keras");
  if (m.xla && !m.npd) refuse_xla_on_stream_executor();
  if (m.xla) prepare_for_xla();
  return m;
}

/* A graph option has a name of old, which is read where the new one is not set. */
static void read_graph_option(const char *name, const char *old, bool when_unset) {
  read_strict(getenv(old) && !getenv(name) ? old : name, when_unset);
}

static void read_graph_options(void) {
  const char *old_layout = getenv("ITEX_ONEDNN_LAYOUT_OPT") ? "ITEX_ONEDNN_LAYOUT_OPT" : "ITEX_ENABLE_ONEDNN_LAYOUT_OPT";
  read_strict("ITEX_SHARDING", false);
  read_graph_option("ITEX_ONEDNN_GRAPH", "ITEX_ENABLE_ONEDNN_GRAPH", false);
  read_graph_option("ITEX_REMAPPER", "ITEX_ENABLE_REMAPPER", true);
  read_graph_option("ITEX_LAYOUT_OPT", old_layout, true);
  read_strict("ITEX_TF_CONSTANT_FOLDING", true);
  read_strict("ITEX_AUTO_MIXED_PRECISION", false);
  setenv("ITEX_CACHE_ONEDNN_OBJECT", "1", 0);
  read_strict("ITEX_CACHE_ONEDNN_OBJECT", false);
#ifdef ITEX_2_15
  read_strict("ITEX_TILE_AS_DEVICE", true);
#endif
}

/* ITEX's main sets these when the wrapper library is opened, the release 2.15 does not. */
__attribute__((constructor)) static void open_wrapper(void) {
  read_strict("ITEX_OMP_THREADPOOL", true);
#ifndef ITEX_2_15
  const char flag[] = "--tf_xla_use_device_api=true";
  const char *given = getenv("TF_XLA_FLAGS");
  char *flags = malloc((given ? strlen(given) : 0) + sizeof flag + 1);
  sprintf(flags, given ? "%s %s" : "%s%s", given ? given : "", flag);
  setenv("TF_XLA_FLAGS", flags, 1);
  free(flags);
  setenv("ENABLE_PJRT_COMPATIBILITY", "1", 0);
#endif
}

/* All that is decided in C, without Python: prints, sets variables, dies as at load.
 * Returns the state as `name=value` words. */
const char *itex_double_evaluate(void) {
  static char state[128];
  Machine m = configure_device();
  bool override = read_strict("ITEX_OPS_OVERRIDE", false);
  read_graph_options();
  sprintf(state, "npd=%d legacy=%d disable=%d jit=%d xla=%d device=%s api=%s override=%d", m.npd, m.legacy,
          m.disable, m.jit, m.xla, m.npd || m.xla ? "NPD" : "PD", m.xla ? "xla" : "itex", override);
  return state;
}

static void run_python_side(bool override) {
#ifdef ITEX_2_15
  if (!override) return;
  PyRun_SimpleString("import intel_extension_for_tensorflow as itex\n");
  PyRun_SimpleString("itex.experimental_ops_override()\n");
#else
  (void)override;
  PyRun_SimpleString(
      "try:\n"
      "  from intel_extension_for_tensorflow.python.override_keras3 import override_keras3\n"
      "  override_keras3()\n"
      "except BaseException:\n"
      "  import traceback\n"
      "  print(traceback.format_exc())\n"
      "  print('please import ITEX or tensorflow berfore keras')\n"
      "  quit()\n");
#endif
}

/* What TensorFlow calls during `import tensorflow`, with the GIL held. */
void TF_InitKernel(void) {
  configure_device();
  run_python_side(read_strict("ITEX_OPS_OVERRIDE", false));
  read_graph_options();
}
