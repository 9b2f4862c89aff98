// SPDX-License-Identifier: MIT
// Theory of operation: every field is copied out of the file through view_read, which alone
// compares offsets with the file's length; the layouts are elf(5)'s. The dynamic section and the
// notes are read by their program headers, because a stripped file may lack section headers; the
// section names are an extra hint.
#include "preload/launcher/executable.h"

#include <elf.h>
#include <string.h>

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#else
#error "libairlock.so knows x86-64 and aarch64"
#endif

#define MAX_HEADERS 4096 // program or section headers looked at; real files have tens
#define MAX_DYNAMIC 4096
#define MAX_NOTES   64

struct view {
	const uint8_t *bytes;
	size_t length;
	struct parse_error *error;
};

static bool view_read(const struct view *view, uint64_t offset, void *out, size_t size)
{
	if (offset > view->length || size > view->length - offset)
		return parse_fail(
			view->error, view->length, "the file ends before what it refers to");
	memcpy(out, view->bytes + offset, size);
	return true;
}

// A NUL terminated text that lies wholly in the file, or NULL.
static const char *view_text(const struct view *view, uint64_t offset)
{
	const char *text;

	if (offset >= view->length)
		return NULL;
	text = (const char *)view->bytes + offset;
	return memchr(text, '\0', view->length - offset) ? text : NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool copy_piece(
	const struct view *view, size_t start, size_t end, char out[static EXECUTABLE_PATH_SIZE])
{
	if (end - start >= EXECUTABLE_PATH_SIZE)
		return parse_fail(view->error, start, "the #! line is too long");
	memcpy(out, view->bytes + start, end - start);
	out[end - start] = '\0';
	return true;
}

// "#!", blanks, a path, and at most one argument that runs to the end of the line (execve(2)).
static bool parse_script(const struct view *view, struct executable *executable)
{
	const char *text = (const char *)view->bytes;
	const char *newline = memchr(text, '\n', view->length);
	size_t end = newline ? (size_t)(newline - text) : view->length;
	size_t start = 2, stop;

	executable->kind = EXECUTABLE_SCRIPT;
	while (end > start && is_blank(text[end - 1]))
		end--;
	while (start < end && is_blank(text[start]))
		start++;
	for (stop = start; stop < end && !is_blank(text[stop]);)
		stop++;
	if (stop == start)
		return parse_fail(view->error, start, "no interpreter after #!");
	if (!copy_piece(view, start, stop, executable->interpreter))
		return false;
	while (stop < end && is_blank(text[stop]))
		stop++;
	return copy_piece(view, stop, end, executable->argument);
}

static bool read_interpreter(
	const struct view *view, const Elf64_Phdr *header, struct executable *executable)
{
	size_t size = header->p_filesz;

	if (size == 0 || size > EXECUTABLE_PATH_SIZE)
		return parse_fail(view->error, 0, "the loader's name has an odd length");
	if (!view_read(view, header->p_offset, executable->interpreter, size))
		return false;
	executable->interpreter[size - 1] = '\0';
	return true;
}

// Go's build id is a note of owner "Go" and type 4 (cmd/internal/buildid).
static bool read_notes(
	const struct view *view, const Elf64_Phdr *header, struct executable *executable)
{
	uint64_t offset = header->p_offset;
	uint64_t end = offset + header->p_filesz;

	if (end < offset)
		return parse_fail(view->error, 0, "a note's size is out of range");
	for (int i = 0; i < MAX_NOTES && offset + sizeof(Elf64_Nhdr) <= end; i++) {
		char owner[4] = "";
		Elf64_Nhdr note;

		if (!view_read(view, offset, &note, sizeof(note)))
			return false;
		offset += sizeof(note);
		if (note.n_namesz == sizeof(owner) &&
			!view_read(view, offset, owner, sizeof(owner)))
			return false;
		if (memcmp(owner, "Go\0", sizeof(owner)) == 0)
			executable->is_go = true;
		offset += ((uint64_t)note.n_namesz + 3) / 4 * 4 +
			  ((uint64_t)note.n_descsz + 3) / 4 * 4;
	}
	return true;
}

// The file offset that a virtual address is loaded from, or UINT64_MAX.
static uint64_t file_offset(const struct view *view, const Elf64_Ehdr *elf, uint64_t address)
{
	for (unsigned i = 0; i < elf->e_phnum && i < MAX_HEADERS; i++) {
		Elf64_Phdr header;

		if (!view_read(view, elf->e_phoff + i * sizeof(header), &header, sizeof(header)))
			break;
		if (header.p_type == PT_LOAD && address >= header.p_vaddr &&
			address - header.p_vaddr < header.p_filesz)
			return header.p_offset + (address - header.p_vaddr);
	}
	return UINT64_MAX;
}

static bool find_string_table(
	const struct view *view, const Elf64_Ehdr *elf, const Elf64_Phdr *header, uint64_t *strings)
{
	for (size_t i = 0; i < MAX_DYNAMIC && (i + 1) * sizeof(Elf64_Dyn) <= header->p_filesz;
		i++) {
		Elf64_Dyn entry;

		if (!view_read(view, header->p_offset + i * sizeof(entry), &entry, sizeof(entry)))
			return false;
		if (entry.d_tag == DT_STRTAB) {
			*strings = file_offset(view, elf, entry.d_un.d_ptr);
			return true;
		}
		if (entry.d_tag == DT_NULL)
			break;
	}
	return true;
}

static void note_needed(const char *name, struct executable *executable)
{
	if (strncmp(name, "liburing.so", strlen("liburing.so")) == 0)
		executable->uses_io_uring = true;
}

static bool read_dynamic(const struct view *view, const Elf64_Ehdr *elf, const Elf64_Phdr *header,
	struct executable *executable)
{
	uint64_t strings = UINT64_MAX;

	if (!find_string_table(view, elf, header, &strings))
		return false;
	for (size_t i = 0; i < MAX_DYNAMIC && (i + 1) * sizeof(Elf64_Dyn) <= header->p_filesz;
		i++) {
		const char *name;
		Elf64_Dyn entry;

		if (!view_read(view, header->p_offset + i * sizeof(entry), &entry, sizeof(entry)))
			return false;
		if (entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag != DT_NEEDED || strings > view->length)
			continue;
		name = view_text(view, strings + (entry.d_un.d_val & UINT32_MAX));
		if (name)
			note_needed(name, executable);
	}
	return true;
}

static bool read_program_headers(
	const struct view *view, const Elf64_Ehdr *elf, struct executable *executable)
{
	for (unsigned i = 0; i < elf->e_phnum && i < MAX_HEADERS; i++) {
		Elf64_Phdr header;
		bool is_good = true;

		if (!view_read(view, elf->e_phoff + i * sizeof(header), &header, sizeof(header)))
			return false;
		if (header.p_type == PT_INTERP)
			is_good = read_interpreter(view, &header, executable);
		else if (header.p_type == PT_NOTE)
			is_good = read_notes(view, &header, executable);
		else if (header.p_type == PT_DYNAMIC)
			is_good = read_dynamic(view, elf, &header, executable);
		if (!is_good)
			return false;
	}
	return true;
}

static bool is_go_section(const char *name)
{
	return strcmp(name, ".note.go.buildid") == 0 || strcmp(name, ".gopclntab") == 0;
}

// The kernel does not read section headers, so a file whose section headers lead nowhere still
// runs: what cannot be read here is no reason to refuse.
static void read_section_names(
	const struct view *view, const Elf64_Ehdr *elf, struct executable *executable)
{
	struct view quiet = {.bytes = view->bytes, .length = view->length};
	Elf64_Shdr names, section;

	if (elf->e_shoff == 0 || elf->e_shstrndx >= elf->e_shnum ||
		!view_read(&quiet, elf->e_shoff + elf->e_shstrndx * sizeof(names), &names,
			sizeof(names)))
		return;
	for (unsigned i = 0; i < elf->e_shnum && i < MAX_HEADERS; i++) {
		const char *name;

		if (!view_read(
			    &quiet, elf->e_shoff + i * sizeof(section), &section, sizeof(section)))
			return;
		name = view_text(&quiet, names.sh_offset + section.sh_name);
		if (name && is_go_section(name))
			executable->is_go = true;
	}
}

static bool is_native(const Elf64_Ehdr *elf)
{
	return elf->e_ident[EI_CLASS] == ELFCLASS64 && elf->e_ident[EI_DATA] == ELFDATA2LSB &&
	       elf->e_machine == NATIVE_MACHINE;
}

static bool parse_elf(const struct view *view, struct executable *executable)
{
	Elf64_Ehdr elf;

	executable->kind = EXECUTABLE_ELF;
	if (!view_read(view, 0, &elf, sizeof(elf)))
		return false;
	executable->is_native = is_native(&elf);
	if (!executable->is_native)
		return true;
	if (elf.e_type != ET_EXEC && elf.e_type != ET_DYN)
		return parse_fail(view->error, offsetof(Elf64_Ehdr, e_type), "not a program");
	if (elf.e_phnum != 0 && elf.e_phentsize != sizeof(Elf64_Phdr))
		return parse_fail(view->error, offsetof(Elf64_Ehdr, e_phentsize),
			"program headers have an odd size");
	if (!read_program_headers(view, &elf, executable))
		return false;
	read_section_names(view, &elf, executable);
	return true;
}

bool executable_parse(const uint8_t *bytes, size_t length, struct executable *executable,
	struct parse_error *error)
{
	struct view view = {.bytes = bytes, .length = length, .error = error};

	memset(executable, 0, sizeof(*executable));
	if (length >= SELFMAG && memcmp(bytes, ELFMAG, SELFMAG) == 0)
		return parse_elf(&view, executable);
	if (length >= 2 && memcmp(bytes, "#!", 2) == 0)
		return parse_script(&view, executable);
	return true;
}
